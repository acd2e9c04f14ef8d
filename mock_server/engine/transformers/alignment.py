"""Where the rows of a batch lie in its KV cache. All rows end at the same column, so a step adds one column. Pure."""

from __future__ import annotations

from dataclasses import dataclass

_BLOCK = 64
_MANY = 8
_WASTE = 4


@dataclass(frozen=True, slots=True)
class Extent:
    """The size of a cache's tensors. Rows in use end before the column `end`, and columns from `end` on are free."""

    rows: int
    columns: int
    end: int

    @property
    def cells(self) -> int:
        """The number of tokens that the tensors have room for."""
        return self.rows * self.columns

    def takes(self, num_rows: int, longest: int) -> bool:
        """Whether so many rows, the longest of `longest` tokens, and one more column fit without being moved."""
        return num_rows <= self.rows and longest <= self.end < self.columns

    def is_wasteful(self, num_rows: int, longest: int) -> bool:
        return self.cells > _WASTE * extent_for(num_rows, longest).cells


def extent_for(num_rows: int, longest: int) -> Extent:
    """The extent to allocate for rows of up to `longest` tokens. There is room for an eighth more, at least 64 tokens,
    and for some more rows, because moving the rows copies them all.
    """
    columns = longest + max(_BLOCK, longest // 8)
    return Extent(_rounded(num_rows, 2 if num_rows <= _MANY else 4), _rounded(columns, _BLOCK), longest)


def _rounded(number: int, step: int) -> int:
    return number if number == 1 else -(-number // step) * step


@dataclass(frozen=True, slots=True)
class Room:
    """How much may run at the same time: sequences, and cells of the cache."""

    rows: int
    cells: int

    def takes(self, num_rows: int, longest: int) -> bool:
        return num_rows <= self.rows and (num_rows == 1 or extent_for(num_rows, longest).cells <= self.cells)

    def longest_alone(self) -> int:
        """The largest number of tokens of a sequence that fits alone."""
        low, high = 0, self.cells
        while low < high:
            middle = (low + high + 1) // 2
            low, high = (middle, high) if extent_for(1, middle).cells <= self.cells else (low, middle - 1)
        return low
