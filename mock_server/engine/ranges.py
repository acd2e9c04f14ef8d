"""Ranges of numbers: sampling parameters and engines' options are checked and described by them."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class Whole:
    """Integers from `low` to `high`; None: without an upper limit."""

    low: int
    high: int | None = None
    shows_range: bool = True
    """Whether a help text gives the limits."""

    def holds(self, value: float) -> bool:
        return value == int(value) and self.low <= value and (self.high is None or value <= self.high)

    def __str__(self) -> str:
        limits = f"at least {self.low}" if self.high is None else f"from {self.low} to {self.high}"
        return f"a whole number, {limits}"


@dataclass(frozen=True, slots=True)
class Number:
    """Finite numbers from `low` to `high`; with `low_open`, `low` itself is not one of them."""

    low: float
    high: float | None = None
    low_open: bool = False

    def holds(self, value: float) -> bool:
        is_above = self.low < value if self.low_open else self.low <= value
        return is_above and (self.high is None or value <= self.high)

    def __str__(self) -> str:
        if self.low_open:
            return f"a number above {self.low:g}" + ("" if self.high is None else f" and at most {self.high:g}")
        return "a number, " + (f"at least {self.low:g}" if self.high is None else f"from {self.low:g} to {self.high:g}")


Range = Whole | Number

SEEDS = Whole(-(2**63), 2**63 - 1, shows_range=False)
