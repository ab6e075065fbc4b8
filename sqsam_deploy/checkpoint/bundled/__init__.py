"""The trained weights that the package carries, by name; a model card lies beside each."""

from os import PathLike
from pathlib import Path

from sqsam_deploy.artifact.files import hash_file
from sqsam_deploy.errors import CheckpointError, UsageError

#: `paper` and `nano` take prompts, `saliency` does not.
NAMES = ("paper", "nano", "saliency")
DEFAULT = "paper"


def bundled_checkpoint(name: str = DEFAULT) -> Path:
    """The file of bundled weights.

    Raises:
        UsageError: No bundled weights have that name.
        CheckpointError: This copy of the package lacks them.
    """
    if name not in NAMES:
        raise UsageError(
            f"no weights are called '{name}': choose {', '.join(NAMES)}, or name a file"
        )
    path = Path(__file__).parent / f"{name}.safetensors"
    if not path.is_file():
        raise CheckpointError(
            f"this copy of the package does not carry the weights '{name}' ({path.name} is "
            "missing): name a weights file instead"
        )
    return path


def weights_file(source: str | PathLike[str]) -> Path:
    """The file that somebody means: bundled weights by their name, or the file itself.

    Args:
        source: `paper`, `nano`, `saliency`, or a path. A name of bundled weights comes before a
            file of that name.

    Raises:
        UsageError: It is a bare word that is neither a name nor a file.
        CheckpointError: This copy of the package lacks the weights.
    """
    path = Path(source)
    is_word = path.name == str(path) and not path.suffix
    if str(path) in NAMES or (is_word and path.name and not path.exists()):
        return bundled_checkpoint(str(path))
    return path


def bundled_by_hash(sha256: str) -> Path | None:
    """The file of bundled weights whose bytes have a SHA-256 (lower-case hex), if there is one."""
    files = (Path(__file__).parent / f"{name}.safetensors" for name in NAMES)
    return next((file for file in files if file.is_file() and hash_file(file) == sha256), None)
