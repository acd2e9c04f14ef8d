"""The size of a regular expression: how much a compiler has to build for it, and how deep it has to go."""

from __future__ import annotations

import re
from collections.abc import Iterator

_PYTHONS = re.compile(r"[^\\\[(){]++|\\.?|\[\^?\]?(?:[^\]\\]|\\.)*+\]?|\{(\d*)(?:,(\d*))?\}|[(){]", re.DOTALL)
_JAVASCRIPTS = re.compile(r"[^\\\[(){]++|\\.?|\[(?:[^\]\\]|\\.)*+\]?|\{(\d*)(?:,(\d*))?\}|[(){]", re.DOTALL)
"""In JavaScript, `[]` is an empty set. In Python it begins a set that contains a bracket."""
_LONGEST_NUMBER = 9


def num_parts(pattern: str) -> int:
    """At least the number of groups, sets, escapes and counted repetitions, on which the time to measure it depends."""
    return sum(map(pattern.count, "\\[(){"))


def pattern_size(pattern: str, limit: int) -> int:
    """The number of characters with every counted repetition written out, or `limit` + 1 if there are more. Measures
    invalid expressions as well.
    """
    return max(_size(found, limit) for found in _readings(pattern))


def pattern_nesting(pattern: str, limit: int) -> int:
    """The largest number of nested parentheses, or `limit` + 1 if there are more."""
    if pattern.count("(") <= limit:
        return pattern.count("(")
    return max(_nesting(found, limit) for found in _readings(pattern))


def _readings(pattern: str) -> Iterator[Iterator[re.Match[str]]]:
    yield _PYTHONS.finditer(pattern)
    if "[]" in pattern or "[^]" in pattern:
        yield _JAVASCRIPTS.finditer(pattern)


def _size(tokens: Iterator[re.Match[str]], limit: int) -> int:
    most = limit + 1
    totals, last = [0], 0
    for token in tokens:
        text = token[0]
        if text == "(":
            totals.append(0)
        elif text == ")" and len(totals) > 1:
            last = max(totals.pop(), 1)
            totals[-1] += last
        elif text[0] == "{" and text != "{":
            times = _times(token, most)
            totals[-1] += last * max(times - 1, 0)
            last = min(most, last * times)
        else:
            last = 1
            totals[-1] += 1 if text[0] in "\\[" else len(text)
        if totals[-1] > limit:
            return most
    return min(most, sum(totals))


def _nesting(tokens: Iterator[re.Match[str]], limit: int) -> int:
    open_now = deepest = 0
    for token in tokens:
        text = token[0]
        if text == "(":
            open_now += 1
            deepest = max(deepest, open_now)
            if deepest > limit:
                return deepest
        elif text == ")" and open_now:
            open_now -= 1
    return deepest


def _times(count: re.Match[str], most: int) -> int:
    numbers = [number for number in count.groups() if number]
    return max((int(number) if len(number) <= _LONGEST_NUMBER else most for number in numbers), default=1)
