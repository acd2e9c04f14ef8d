"""Numbers within bounds, and multiples; exact at any magnitude."""

from __future__ import annotations

import math
import random
from collections.abc import Iterator
from fractions import Fraction
from itertools import chain
from typing import Any

from mock_server.engine.author.drawing.budget import Budget
from mock_server.engine.author.drawing.conjunction import Conjunction
from mock_server.engine.author.drawing.json_values import is_number, shown
from mock_server.engine.author.drawing.problems import UndrawableError

_SPREAD = 100  # from the only bound
_MOST_TRIED = 200
_MOST_INTEGERS = 5_000
_WIDE = 10_000
_LARGE = 10**15  # above this, a float has no useful decimals
_LARGEST_FLOAT = Fraction(1.7e308)


def draw_number(parts: Conjunction, source: random.Random, budget: Budget, *, integer: bool) -> int | float:
    bounds = Bounds(parts, integer=integer)
    for candidate in bounds.candidates(source):
        budget.step()
        if bounds.allows(candidate):
            return candidate
    raise UndrawableError(f"no {'integer' if integer else 'number'} was found that is {bounds}")


def few_integers(parts: Conjunction) -> Iterator[int]:
    """The allowed integers in ascending order; only the first ones if there are very many."""
    bounds = Bounds(parts, integer=True)
    return filter(bounds.allows, bounds.integers())


class Bounds:
    """The bounds and multiples of several schemas. In draft 4, `exclusiveMinimum` is true or false."""

    def __init__(self, parts: Conjunction, *, integer: bool) -> None:
        self._integer = integer
        self._low: Fraction | None = None
        self._high: Fraction | None = None
        self._low_excluded = self._high_excluded = False
        for part in parts.parts:
            exclusive = part.get("exclusiveMinimum")
            self._raise_low(part.get("minimum"), excluded=exclusive is True)
            if not isinstance(exclusive, bool):
                self._raise_low(exclusive, excluded=True)
            exclusive = part.get("exclusiveMaximum")
            self._lower_high(part.get("maximum"), excluded=exclusive is True)
            if not isinstance(exclusive, bool):
                self._lower_high(exclusive, excluded=True)
        self.steps = [_step(found) for found in parts.values("multipleOf")]

    def _raise_low(self, bound: Any, *, excluded: bool) -> None:
        if bound is None:
            return
        low = _exact("minimum", bound)
        if self._low is None or low > self._low:
            self._low, self._low_excluded = low, excluded
        elif low == self._low:
            self._low_excluded = self._low_excluded or excluded

    def _lower_high(self, bound: Any, *, excluded: bool) -> None:
        if bound is None:
            return
        high = _exact("maximum", bound)
        if self._high is None or high < self._high:
            self._high, self._high_excluded = high, excluded
        elif high == self._high:
            self._high_excluded = self._high_excluded or excluded

    def __str__(self) -> str:
        said = []
        if self._low is not None:
            said.append(f"{'above' if self._low_excluded else 'at least'} {_shown(self._low)}")
        if self._high is not None:
            said.append(f"{'below' if self._high_excluded else 'at most'} {_shown(self._high)}")
        said += [f"a multiple of {shown(step)}" for step in self.steps]
        return ", ".join(said) or "finite"

    def allows(self, number: int | float) -> bool:
        if isinstance(number, float) and not math.isfinite(number):
            return False
        exact = Fraction(number)
        if self._low is not None and (exact < self._low or (self._low_excluded and exact == self._low)):
            return False
        if self._high is not None and (exact > self._high or (self._high_excluded and exact == self._high)):
            return False
        return (not self._integer or exact.denominator == 1) and all(is_multiple(number, step) for step in self.steps)

    def _usual_ends(self) -> tuple[Fraction, Fraction]:
        """A small range within the bounds, near zero if possible."""
        spread = max(Fraction(_SPREAD), 20 * self._common_step()) if self.steps else Fraction(_SPREAD)
        low, high = self._low, self._high
        if low is None:
            low = Fraction(1 if high is None or high >= _SPREAD else math.floor(high - spread))
        elif low < -_WIDE and (high is None or high >= spread):
            low = Fraction(0)
        if high is None:
            high = low + spread
        return low, min(high, low + spread) if high - low > _WIDE else high

    def _common_step(self) -> Fraction:
        """The least common multiple of all steps."""
        common, *others = [_decimal(step) for step in self.steps] + ([Fraction(1)] if self._integer else [])
        for step in others:
            denominator = math.lcm(common.denominator, step.denominator)
            common = Fraction(math.lcm(int(common * denominator), int(step * denominator)), denominator)
        return common

    def integers(self) -> range:
        """The integers within the bounds; only the first ones if there are very many."""
        first = math.ceil(self._usual_ends()[0] if self._low is None else self._low)
        last = first + _MOST_INTEGERS if self._high is None else min(math.floor(self._high), first + _MOST_INTEGERS)
        return range(first, last + 1)

    def candidates(self, source: random.Random) -> Iterator[int | float]:
        low, high = self._usual_ends()
        if self.steps:
            yield from self._multiples(low, high, source)
            return
        first, last = math.ceil(low), math.floor(high)
        if first <= last and (self._integer or max(abs(low), abs(high)) > _LARGE):
            yield source.randint(first, last)
            yield from range(first, min(first + 3, last + 1))
            yield from range(last, max(last - 3, first - 1), -1)
        if self._integer:
            return
        yield from self._fractional(low, high, source)

    @staticmethod
    def _fractional(low: Fraction, high: Fraction, source: random.Random) -> Iterator[float]:
        if max(abs(low), abs(high)) > _LARGEST_FLOAT:
            return
        drawn = float(low + (high - low) * Fraction(source.uniform(0.05, 0.95)))
        yield from (round(drawn, 2), drawn, float((low + high) / 2), float(low), float(high))
        yield from (math.nextafter(float(low), math.inf), math.nextafter(float(high), -math.inf))

    def _multiples(self, low: Fraction, high: Fraction, source: random.Random) -> Iterator[int | float]:
        step = self._common_step()
        first, last = math.ceil(low / step), math.floor(high / step)
        if first > last:
            return
        drawn = (source.randint(first, last) for _ in range(_MOST_TRIED))
        for number in chain(drawn, [0], range(first, min(first + _MOST_TRIED, last + 1))):
            found = step * number
            if found.denominator == 1:
                yield int(found)
            elif abs(found) < _LARGEST_FLOAT:
                yield float(found)


def is_multiple(number: int | float, step: int | float) -> bool:
    """Must hold in decimal arithmetic, as people mean it, and in float arithmetic, as validators compute it."""
    if not isinstance(step, float):
        return _decimal(number) % step == 0
    if _decimal(number) % _decimal(step) != 0:
        return False
    try:
        quotient = number / step
        return int(quotient) == quotient
    except OverflowError:
        return True


def _decimal(number: int | float) -> Fraction:
    """The decimal number as written, not its binary approximation."""
    return Fraction(str(number)) if isinstance(number, float) else Fraction(number)


def _step(found: Any) -> int | float:
    if not is_number(found) or (isinstance(found, float) and not math.isfinite(found)) or found <= 0:
        raise UndrawableError(f"multipleOf must be a number above 0 (got {shown(found)})")
    return int(found) if isinstance(found, float) and found.is_integer() else found


def _exact(keyword: str, bound: Any) -> Fraction:
    if not is_number(bound) or (isinstance(bound, float) and not math.isfinite(bound)):
        raise UndrawableError(f"{keyword} must be a number (got {shown(bound)})")
    return Fraction(bound)


def _shown(number: Fraction) -> str:
    if number.denominator == 1:
        return shown(number.numerator)
    return shown(float(number)) if abs(number) < _LARGEST_FLOAT else "a very large number"
