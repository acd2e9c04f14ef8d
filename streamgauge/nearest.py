"""Which known name is nearest to an unknown one, for error messages."""

from __future__ import annotations

from collections.abc import Iterable

_LONGEST_COMPARED = 64  # the comparison takes time in proportion to the product of both lengths


def nearest(name: str, names: Iterable[str]) -> str | None:
    """The known name that is most alike, or None if none is."""
    if len(name) > _LONGEST_COMPARED:
        return None
    from difflib import get_close_matches  # only errors need it

    comparable = [known for known in names if len(known) <= _LONGEST_COMPARED]
    return next(iter(get_close_matches(name, comparable, n=1)), None)


def did_you_mean(name: str, names: Iterable[str]) -> str:
    """` Did you mean x?` with the space before it, or nothing if no name is near."""
    near = nearest(name, names)
    return "" if near is None else f" Did you mean {near}?"
