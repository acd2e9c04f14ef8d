"""How much text a JSON value holds, before anybody writes it out."""

from collections.abc import Iterator
from typing import Any


def text_lengths(value: Any) -> Iterator[int]:
    """The characters of the strings and names in each object and array, one after the other; numbers do not count."""
    rest: list[Any] = [[value]]
    while rest:
        found = rest.pop()
        characters = 0
        if isinstance(found, dict):
            characters = sum(map(len, found))
            found = found.values()
        yield characters + sum([len(item) for item in found if isinstance(item, str)])
        rest += [item for item in found if isinstance(item, dict | list | tuple)]
