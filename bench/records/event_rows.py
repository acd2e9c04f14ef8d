"""Reads the rows of `bench.records.moments` as arrays, in pieces, so that a long run needs little memory."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from typing import NamedTuple

import numpy as np

from bench.arrays import Ints
from bench.records.moments import (
    DOUBT_SHIFT,
    DOUBT_UNIT_SHIFT,
    KIND_SHIFT,
    MOST_DOUBT,
    REQUEST_SHIFT,
    ROW_BYTES,
    UNKNOWN_TOKENS,
)

_TOKENS_MASK = 0xFFFF
_KIND_MASK = 0xF


class Rows(NamedTuple):
    """Rows in the order in which they were written. `tokens` is -1 where the number is unknown."""

    ns: Ints
    request: Ints
    kind: Ints
    doubt_ns: Ints
    tokens: Ints


def read_rows(chunks: Iterable[bytes]) -> Iterator[Rows]:
    """Decode rows from bytes. A last row that a crash cut short is left out."""
    rest = b""
    for chunk in chunks:
        data = rest + chunk if rest else chunk
        whole = len(data) - len(data) % ROW_BYTES
        rest = data[whole:]
        if whole:
            yield _decode(np.frombuffer(data, dtype="<i8", count=whole // 8))


def _decode(integers: Ints) -> Rows:
    ns, words = integers[0::2], integers[1::2]
    tokens = words & _TOKENS_MASK
    return Rows(
        ns=ns,
        request=words >> REQUEST_SHIFT,
        kind=(words >> KIND_SHIFT) & _KIND_MASK,
        doubt_ns=((words >> DOUBT_SHIFT) & MOST_DOUBT) << DOUBT_UNIT_SHIFT,
        tokens=np.where(tokens == UNKNOWN_TOKENS, -1, tokens),
    )
