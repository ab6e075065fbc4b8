"""A series of reshapes and transpositions as one."""

import math
from collections.abc import Sequence


class Arrangement:
    """How the elements of a value are laid out, as a permutation of the source's factors.

    Each axis is a list of factors, slowest first. A factor is a number standing for a run of the
    source's elements; splitting one keeps the order in which the source has them.
    """

    def __init__(self, shape: Sequence[int]) -> None:
        self._sizes: list[int] = list(shape)
        #: The factors in the source's order.
        self._source = list(range(len(shape)))
        self._axes = [[factor] for factor in self._source]

    def permute(self, order: Sequence[int]) -> None:
        """Puts the axes into another order."""
        self._axes = [self._axes[axis] for axis in order]

    def reshape(self, shape: Sequence[int]) -> bool:
        """Takes other axes over the same elements.

        Returns:
            False where an axis would have to split elements that no factor separates.
        """
        left = [factor for axis in self._axes for factor in axis if self._sizes[factor] != 1]
        axes: list[list[int]] = []
        for size in shape:
            axis: list[int] = []
            while (missing := size // math.prod(self._sizes[f] for f in axis)) > 1:
                factor = left.pop(0)
                if missing % self._sizes[factor]:
                    if self._sizes[factor] % missing:
                        return False
                    factor, rest = self._split(factor, missing)
                    left.insert(0, rest)
                axis.append(factor)
            axes.append(axis)
        self._axes = axes
        return True

    def _split(self, factor: int, slow: int) -> tuple[int, int]:
        """Two factors for one, the first of a given size."""
        rest = len(self._sizes)
        self._sizes.append(self._sizes[factor] // slow)
        self._sizes[factor] = slow
        self._source.insert(self._source.index(factor) + 1, rest)
        return factor, rest

    def as_one(self) -> tuple[list[int], list[int]]:
        """The whole as a reshape of the source followed by a transposition.

        Returns:
            The source's shape and the order of its axes, with as few axes as possible; the order
            is 0, 1, 2 ... where nothing moves.
        """
        place = {factor: index for index, factor in enumerate(self._source_factors())}
        runs: list[list[int]] = []
        for factor in (f for axis in self._axes for f in axis if self._sizes[f] != 1):
            if runs and place[factor] == place[runs[-1][-1]] + 1:
                runs[-1].append(factor)
            else:
                runs.append([factor])
        by_source = sorted(range(len(runs)), key=lambda run: place[runs[run][0]])
        shape = [math.prod(self._sizes[factor] for factor in runs[run]) for run in by_source]
        return shape, [by_source.index(run) for run in range(len(runs))]

    def _source_factors(self) -> list[int]:
        return [factor for factor in self._source if self._sizes[factor] != 1]
