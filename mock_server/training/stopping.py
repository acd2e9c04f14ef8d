"""Asks a run to stop after the step it is in, so that it can save what it has learned."""

from __future__ import annotations

import os
import signal
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from types import FrameType

_REQUEST = ".stop"


class StopRequest:
    """Whether to stop. Ranks in other processes learn of it by the run's folder, and stop too if their launcher is
    gone.
    """

    def __init__(self, run: Path, launcher: int | None = None) -> None:
        self._file = run / _REQUEST
        self._launcher = launcher
        self.is_training = False
        """Until steps are done there is nothing to save: Ctrl-C then ends the program at once."""

    def make(self) -> None:
        self._file.touch()

    def clear(self) -> None:
        self._file.unlink(missing_ok=True)

    def is_made(self) -> bool:
        return self._file.exists() or (self._launcher is not None and not _is_alive(self._launcher))


def _is_alive(pid: int) -> bool:
    try:
        os.kill(pid, 0)
    except ProcessLookupError:
        return False
    except PermissionError:
        return True
    return True


@contextmanager
def signals_ask(stop: StopRequest) -> Iterator[None]:
    """The first SIGINT or SIGTERM makes the request, a second one ends the program at once."""

    def ask(_number: int, _frame: FrameType | None) -> None:
        if stop.is_made() or not stop.is_training:
            raise KeyboardInterrupt
        stop.make()

    before = {number: signal.signal(number, ask) for number in (signal.SIGINT, signal.SIGTERM)}
    try:
        yield
    finally:
        for number, handler in before.items():
            signal.signal(number, handler)
