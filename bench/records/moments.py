"""Every moment of every request as a row of 16 bytes, written as it happens, so that a kill loses hardly any.

A row is two integers of 64 bits: the moment (monotonic ns), and request << 32 | kind << 28 | doubt << 16 | tokens.
Warm-up requests have negative numbers.
"""

from __future__ import annotations

from array import array
from enum import IntEnum

from bench.records.spool import Spool

ROW_BYTES = 16
REQUEST_SHIFT, KIND_SHIFT, DOUBT_SHIFT = 32, 28, 16

# The value for an unknown number of tokens, and the largest number that a row can hold.
UNKNOWN_TOKENS, MOST_TOKENS = 0xFFFF, 0xFFFE

# A doubt is stored in units of 2**14 ns, rounded up; the largest value means 67 ms or more.
DOUBT_UNIT_SHIFT, MOST_DOUBT = 14, 0xFFF


class Kind(IntEnum):
    """What happened: planned start, request sent, head of the answer, one of three kinds of token event, or the end.

    The end's `tokens` are the position of its outcome in `bench.records.record.OUTCOMES`.
    """

    SCHED = 0
    SEND = 1
    HEAD = 2
    VISIBLE = 3
    HIDDEN = 4
    EMPTY = 5
    END = 6


def doubt_code(doubt_ns: int) -> int:
    """The code of a doubt: how much earlier an arrival may have been."""
    return min((doubt_ns + (1 << DOUBT_UNIT_SHIFT) - 1) >> DOUBT_UNIT_SHIFT, MOST_DOUBT)


class MomentLog:
    """Collects rows. Callers append the two integers of a row to `rows`; `flush` hands them to the kernel."""

    def __init__(self) -> None:
        self.rows = array("q")
        self.spool = Spool(None)

    def note(self, request: int, kind: Kind, at_ns: int, tokens: int = 0) -> None:
        """Add the row of something that happens once in a request."""
        self.rows.append(at_ns)
        self.rows.append((request << REQUEST_SHIFT) | (kind << KIND_SHIFT) | tokens)

    def flush(self) -> None:
        """Write the rows that were added since the last flush."""
        if self.rows:
            self.spool.write(self.rows.tobytes())
            del self.rows[:]
