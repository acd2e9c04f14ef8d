"""How long a regular expression is with every counted repetition written out: what a compiler of it has to build."""

import re

_COUNT = re.compile(r"\{(\d*)(?:,(\d*))?\}")
_SET = re.compile(r"\[\^?\]?(?:[^\]\\]|\\.)*+\]?", re.DOTALL)
_LONGEST_NUMBER = 9


def pattern_size(pattern: str, limit: int) -> int:
    """In characters, or `limit` + 1 for everything above. What is no valid expression is measured too."""
    most = limit + 1
    totals, last = [0], 0
    at = 0
    while at < len(pattern):
        character = pattern[at]
        count = _COUNT.match(pattern, at) if character == "{" else None
        if count is not None:
            times = _times(count, most)
            totals[-1] = min(most, totals[-1] + last * max(times - 1, 0))
            last = min(most, last * times)
            at = count.end()
        elif character == "(":
            totals.append(0)
            at += 1
        elif character == ")" and len(totals) > 1:
            last = max(totals.pop(), 1)
            totals[-1] = min(most, totals[-1] + last)
            at += 1
        else:
            last = 1
            totals[-1] = min(most, totals[-1] + 1)
            at = _end_of_atom(pattern, at)
    return min(most, sum(totals))


def _times(count: re.Match[str], most: int) -> int:
    numbers = [number for number in count.groups() if number]
    return max((int(number) if len(number) <= _LONGEST_NUMBER else most for number in numbers), default=1)


def _end_of_atom(pattern: str, at: int) -> int:
    if pattern[at] == "\\":
        return at + 2
    found = _SET.match(pattern, at) if pattern[at] == "[" else None
    return at + 1 if found is None else found.end()
