"""Rules that phones' runtimes and compilers set, and what an artifact has that breaks them.

Nothing of this shows where an artifact is executed on a desktop; each rule says where it was read.
"""

from collections.abc import Iterable
from dataclasses import dataclass
from typing import Literal

from sqsam_deploy.artifact.requirements import Requirements


@dataclass(frozen=True)
class DeviceRule:
    """Something that a device asks of an artifact.

    Attributes:
        key: Names it: "dimensions".
        statement: What holds for an artifact that keeps it.
        otherwise: What happens to one that does not.
        source: Where that was read.
        breaks: Whether such an artifact is known not to work, so that none is written.
    """

    key: str
    statement: str
    otherwise: str
    source: str
    breaks: bool = False

    def check(self, violations: Iterable[str]) -> "DeviceCheck":
        """The outcome for one artifact."""
        return DeviceCheck(self, tuple(violations))


@dataclass(frozen=True)
class DeviceCheck:
    """The outcome of one rule for one artifact.

    Attributes:
        rule: The rule.
        violations: What breaks it; empty where it is kept.
    """

    rule: DeviceRule
    violations: tuple[str, ...] = ()

    @property
    def outcome(self) -> Literal["kept", "warning", "broken"]:
        """How it ended."""
        if not self.violations:
            return "kept"
        return "broken" if self.rule.breaks else "warning"

    @property
    def found(self) -> str:
        """The first violation, and how many more there are."""
        more = f" and {len(self.violations) - 1} more" if len(self.violations) > 1 else ""
        return f"{self.violations[0]}{more}" if self.violations else "nothing"


@dataclass(frozen=True)
class OnDevice:
    """Needs of one artifact on a phone.

    Attributes:
        requirements: Libraries that an app links to run it, and the lowest systems.
        checks: Every rule that can be checked on it, with its outcome.
    """

    requirements: Requirements
    checks: tuple[DeviceCheck, ...] = ()
