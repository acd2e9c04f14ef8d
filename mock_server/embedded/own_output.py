"""Keeps standard output and standard error for the program: engines and their processes write past any log."""

from __future__ import annotations

import contextlib
import os
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import NamedTuple, TextIO


class Output(NamedTuple):
    """Where a program writes for its user."""

    out: TextIO
    err: TextIO


@contextlib.contextmanager
def own_output(log: Path) -> Iterator[Output]:
    """The real outputs. Meanwhile, everything else in this process and its children writes to the file.

    Raises `OSError` if the file cannot be opened.
    """
    with contextlib.ExitStack() as stack:
        descriptor = os.open(log, os.O_WRONLY | os.O_CREAT | os.O_APPEND, 0o600)
        stack.callback(os.close, descriptor)
        real = []
        for number, stream in ((1, sys.stdout), (2, sys.stderr)):
            stream.flush()
            copy = os.fdopen(os.dup(number), "w", encoding=stream.encoding, errors=stream.errors)
            real.append(stack.enter_context(copy))
            os.dup2(descriptor, number)
            stack.callback(_put_back, stream, copy.fileno(), number)
        yield Output(*real)


def _put_back(stream: TextIO, real: int, number: int) -> None:
    stream.flush()
    os.dup2(real, number)
