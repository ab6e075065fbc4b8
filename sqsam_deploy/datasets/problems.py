"""Unusable parts of a data set: counted, named, and refused if they are most of it.

One rule holds for every command. An object that cannot be used is left out and its photo's others
stay; a photo that cannot be used is left out and the others stay; both are counted and told with
the first example; where most of the objects that were looked at are unusable, the data set is
refused.
"""

import logging
from collections.abc import Iterable
from dataclasses import dataclass, field
from typing import Literal

from sqsam_deploy.errors import NOTICE, DataError, printable

_logger = logging.getLogger("sqsam_deploy.datasets")


class MaskError(DataError):
    """A stored mask cannot be used.

    Attributes:
        kind: What is wrong, in words that fit other masks too.
        where: The mask's file or annotation.
    """

    def __init__(self, where: str, kind: str, detail: str = "") -> None:
        super().__init__(f"{where}: {kind}{f' ({detail})' if detail else ''}")
        self.where, self.kind, self.detail = where, kind, detail

    def __reduce__(self) -> tuple[type["MaskError"], tuple[str, str, str]]:
        return MaskError, (self.where, self.kind, self.detail)


Cost = Literal["object", "photo", "skipped object", "skipped photo", "object note", "photo note"]


@dataclass(frozen=True)
class Problem:
    """One thing that could not be taken as it stands.

    Attributes:
        cost: What it costs: an "object" or a "photo" that cannot be used; a "skipped" one that is
            left out by rule (a crowd); or nothing (a "note": it was read otherwise than written).
        kind: What is wrong, in words that fit every case of the kind.
        where: File, annotation or entry.
    """

    cost: Cost
    kind: str
    where: str

    def __str__(self) -> str:
        return printable(f"{self.where}: {self.kind}")


def object_problem(error: DataError, where: str) -> Problem:
    """An object's error as a problem."""
    if isinstance(error, MaskError):
        detail = f"{error.where} ({error.detail})" if error.detail else error.where
        return Problem("object", error.kind, detail)
    return Problem("object", str(error), where)


@dataclass
class Tally:
    """Problems counted by kind, each with its first example.

    Attributes:
        objects: Objects that were used.
        photos: Photos that were used.
    """

    objects: int = 0
    photos: int = 0
    _found: dict[tuple[str, str], list[str | int]] = field(default_factory=dict)

    def add(self, problems: Iterable[Problem]) -> None:
        """Counts problems."""
        for problem in problems:
            entry = self._found.setdefault((problem.cost, problem.kind), [problem.where, 0])
            entry[1] = int(entry[1]) + 1

    def count(self, cost: Cost) -> int:
        """How many of one cost there are."""
        return sum(int(number) for (each, _), (_, number) in self._found.items() if each == cost)

    def lines(self) -> list[str]:
        """One sentence a kind, most frequent first."""
        order = sorted(self._found.items(), key=lambda item: -int(item[1][1]))
        return [
            printable(_sentence(cost, kind, str(first), int(count)))
            for (cost, kind), (first, count) in order
        ]

    def report(self, name: str) -> None:
        """Logs every kind; what is logged at `NOTICE` reaches stderr."""
        for line in self.lines():
            _logger.log(NOTICE, "%s", printable(f"dataset '{name}': {line}"))

    def require_most(self, name: str) -> None:
        """Refuses a data set most of whose objects or photos could not be used.

        Raises:
            DataError: They could not; the message has the reasons.
        """
        lost_objects, lost_photos = self.count("object"), self.count("photo")
        if lost_objects > self.objects:
            counts = f"{lost_objects} of {lost_objects + self.objects} objects"
        elif lost_photos > self.photos:
            counts = f"{lost_photos} of {lost_photos + self.photos} photos"
        else:
            return
        reasons = "; ".join(line for line in self.lines()[:3])
        raise DataError(printable(f"dataset '{name}': {counts} looked at are unusable: {reasons}"))


def _sentence(cost: str, kind: str, first: str, count: int) -> str:
    noun = "photo" if "photo" in cost else "object"
    nouns = noun if count == 1 else f"{noun}s"
    left_out = "" if "note" in cost else " left out"
    example = f"{first}" if count == 1 else f"the first: {first}"
    return f"{count} {nouns}{left_out}: {kind} ({example})"
