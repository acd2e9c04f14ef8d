"""What the truth server knows about each answer, as lines of JSON."""

from __future__ import annotations

from collections.abc import Iterable
from pathlib import Path

import msgspec


class Truth(msgspec.Struct, gc=False):
    """One answer by the server's clock, which is the bench's: monotonic nanoseconds.

    `read_ns` is the arrival of the request, `stamps` has a moment for each token event, just before it was handed to
    the kernel; `tokens` how many tokens each carried, `has_usage` whether the bench was told. `outcome` is what the
    bench has to make of it.
    """

    id: str
    read_ns: int
    stamps: list[int]
    tokens: list[int]
    visible: list[bool]
    outcome: str = "ok"
    has_usage: bool = True


def write_log(path: Path, truths: Iterable[Truth]) -> None:
    """Append the answers to the log. Raises OSError."""
    encode = msgspec.json.Encoder().encode
    with path.open("ab") as file:
        file.writelines(encode(truth) + b"\n" for truth in truths)


def read_log(path: Path) -> dict[str, Truth]:
    """All answers, by the id of their request. Raises OSError."""
    decode = msgspec.json.Decoder(Truth).decode
    with path.open("rb") as file:
        return {truth.id: truth for truth in map(decode, file)}
