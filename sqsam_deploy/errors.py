"""The package's exceptions: each message is one sentence a person can act on.

The command line prints the message and exits with `exit_code`, without a traceback.
"""

#: A sentence is shorter; what is longer repeats something that a file says of itself.
_LONGEST = 2000

#: Logging level between WARNING and ERROR: what a user should know, kept when the libraries'
#: warnings are silenced.
NOTICE = 35


def printable(text: str) -> str:
    r"""Text from anywhere with everything invisible spelled out: an escape becomes `\x1b`."""
    return "".join(c if c.isprintable() else c.encode("unicode_escape").decode() for c in text)


def first_line(error: Exception) -> str:
    """The first line of what a library says, or its kind of error."""
    return str(error).strip().split("\n")[0] or type(error).__name__


class SqsamError(Exception):
    """Base of every error this package raises on purpose.

    A message may repeat what a file or a store says. Characters that could steer a terminal are
    shown as escapes, and what is longer than any sentence is cut.
    """

    exit_code = 3

    def __str__(self) -> str:
        shown = "\n".join(map(printable, super().__str__().split("\n")))
        return shown if len(shown) <= _LONGEST else f"{shown[:_LONGEST]}..."


class UsageError(SqsamError):
    """The caller asked for something that does not exist or contradicts itself (exit code 2)."""

    exit_code = 2


class GateError(SqsamError):
    """Something was evaluated and found not good enough (exit code 1)."""

    exit_code = 1


class CheckpointError(SqsamError):
    """A weights file is missing, damaged, unsafe or of another network (exit code 3)."""


class DataError(SqsamError):
    """An image, mask or dataset cannot be read or is unusable (exit code 3)."""


class ArtifactError(SqsamError):
    """An exported file is missing, damaged or does not do what it says (exit code 3)."""


class MissingDependencyError(SqsamError):
    """An optional package is not installed (exit code 3)."""


class StoreError(SqsamError):
    """A release store cannot be reached, read or written (exit code 3)."""


class ReleaseError(SqsamError):
    """A release is missing, damaged, tampered with, or not what was asked for (exit code 3)."""


class EngineError(SqsamError):
    """A cluster cannot be reached, or was lost (exit code 3)."""


class DeviceError(SqsamError):
    """A phone, or what it is reached with, is missing or refuses (exit code 3)."""
