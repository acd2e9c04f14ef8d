"""A program at a terminal: types keys, and waits for what it shows."""

from __future__ import annotations

import contextlib
import fcntl
import os
import pty
import re
import select
import signal
import struct
import subprocess
import termios
import time
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path

_LIMIT_S = 20.0
_STYLE = re.compile(rb"\x1b(?:\[[0-9;?]*[A-Za-z~]|\][^\x07]*\x07|[=>])")


class PtyProgram:
    """`shown` is all that the terminal got; `text` leaves out what moves the cursor and colours."""

    def __init__(self, process: subprocess.Popen[bytes], terminal: int, limit_s: float) -> None:
        self.process = process
        self._limit_s = limit_s
        self.shown = b""
        self._terminal = terminal
        self._seen = 0

    @property
    def text(self) -> str:
        return _plain(self.shown)

    def type(self, keys: str) -> None:
        os.write(self._terminal, keys.encode())

    def wait_for(self, text: str) -> str:
        """Reads until the text appears in what has not been waited for, and returns what came up to it."""
        give_up_at = time.monotonic() + self._limit_s
        while text not in (fresh := _plain(self.shown[self._seen :])):
            if not self._read(give_up_at - time.monotonic()):
                raise AssertionError(f"{text!r} did not appear; since then: {fresh!r}")
        position = len(self.shown)
        for cut in range(self._seen, position + 1):
            if text in _plain(self.shown[self._seen : cut]):
                position = cut
                break
        before = _plain(self.shown[self._seen : position])
        self._seen = position
        return before

    def end(self) -> int:
        """The exit code, once everything is shown."""
        give_up_at = time.monotonic() + self._limit_s
        while self._read(give_up_at - time.monotonic()):
            pass
        return self.process.wait(self._limit_s)

    def _read(self, limit_s: float) -> bool:
        ready, _, _ = select.select([self._terminal], [], [], max(limit_s, 0))
        try:
            data = os.read(self._terminal, 65536) if ready else b""
        except OSError:  # the program has closed it
            data = b""
        self.shown += data
        return bool(data)


def _plain(shown: bytes) -> str:
    return _STYLE.sub(b"", shown).decode("utf-8", "replace").replace("\r\n", "\n")


def _in_foreground() -> None:
    """Gives the program the terminal, and SIGINT its usual effect: tests that run in the background ignore it."""
    fcntl.ioctl(0, termios.TIOCSCTTY, 0)
    signal.signal(signal.SIGINT, signal.SIG_DFL)


@contextlib.contextmanager
def pty_program(
    command: Sequence[str], *, cwd: Path, env: Mapping[str, str], columns: int = 100, limit_s: float = _LIMIT_S
) -> Iterator[PtyProgram]:
    """The program is the leader of the terminal's session, as in a terminal window. It is killed with the block."""
    leader, follower = pty.openpty()
    fcntl.ioctl(follower, termios.TIOCSWINSZ, struct.pack("HHHH", 40, columns, 0, 0))
    process = subprocess.Popen(
        command,
        cwd=cwd,
        env=env,
        stdin=follower,
        stdout=follower,
        stderr=follower,
        start_new_session=True,
        preexec_fn=_in_foreground,
    )
    os.close(follower)
    try:
        yield PtyProgram(process, leader, limit_s)
    finally:
        process.kill()
        process.wait()
        os.close(leader)
