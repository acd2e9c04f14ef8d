"""The amount of text in a JSON value, without writing it out."""

from __future__ import annotations

import asyncio
from collections.abc import Iterator
from typing import Any

_CONTAINERS_A_TURN = 1_000


async def text_length(value: Any) -> int:
    """At most the length of the value's JSON. Other requests run while a large value is counted."""
    length = 0
    for number, found in enumerate(text_lengths(value), 1):
        length += found
        if not number % _CONTAINERS_A_TURN:
            await asyncio.sleep(0)
    return length


def text_lengths(value: Any) -> Iterator[int]:
    """Yields for each object and array its members, and the number of characters in its strings and names."""
    rest: list[Any] = [[value]]
    while rest:
        found = rest.pop()
        characters = 0
        if isinstance(found, dict):
            characters = sum(map(len, found))
            found = found.values()
        yield len(found) + characters + sum([len(item) for item in found if isinstance(item, str)])
        rest += [item for item in found if isinstance(item, dict | list | tuple)]
