"""A bound Unix socket. Closing it removes its file. A file left behind by a killed server is replaced."""

from __future__ import annotations

import errno
import os
import socket
import stat
from dataclasses import dataclass
from pathlib import Path
from urllib.parse import quote

from mock_server.process.listener import ListenError

_BOUND_SOCKETS = Path("/proc/net/unix")
_MOST_BYTES = 107


@dataclass(frozen=True, slots=True)
class UnixListener:
    """Like `Listener`, but at a path. The umask decides who may connect."""

    socket: socket.socket
    path: Path
    inode: int

    @classmethod
    def bind(cls, path: str) -> UnixListener:
        """Raises `ListenError`."""
        file = Path(path).expanduser().absolute()
        if len(os.fsencode(file)) > _MOST_BYTES:
            raise ListenError(
                f"--uds {file} is longer than {_MOST_BYTES} bytes, the most that a socket's path may have"
            )
        listener = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM)
        try:
            _remove_left_behind(file)
            listener.bind(str(file))
            return cls(listener, file, file.stat().st_ino)
        except ListenError:
            listener.close()
            raise
        except (OSError, ValueError) as error:
            listener.close()
            raise _problem(error, file) from None

    def problem(self, error: OSError) -> ListenError:
        return _problem(error, self.path)

    @property
    def url(self) -> str:
        """In nginx's notation. White space is escaped because the ready line is split into words."""
        return f"unix:{quote(str(self.path))}"

    @property
    def every_interface(self) -> str | None:
        return None

    def close(self) -> None:
        """Also removes the file, unless another server has put its own there."""
        self.socket.close()
        try:
            if self.path.lstat().st_ino == self.inode:
                self.path.unlink()
        except OSError:
            pass  # already gone


def _remove_left_behind(file: Path) -> None:
    """Raises `ListenError` for a socket that is in use, and for a file that is not a socket."""
    try:
        mode = file.lstat().st_mode
    except FileNotFoundError:
        return
    if not stat.S_ISSOCK(mode):
        raise ListenError(f"--uds {file} exists and is not a socket: choose another path, or remove it")
    if _is_in_use(file):
        raise ListenError(f"--uds {file} is in use by another server: choose another path, or stop that one")
    file.unlink()


def _is_in_use(file: Path) -> bool:
    """Whether a server listens there, or has bound the socket and does not listen yet."""
    with socket.socket(socket.AF_UNIX, socket.SOCK_STREAM) as probe:
        probe.setblocking(False)  # a full backlog would block
        try:
            probe.connect(str(file))
            return True
        except BlockingIOError:
            return True
        except ConnectionRefusedError:
            pass
    try:
        bound = [os.fsdecode(line).split(maxsplit=7) for line in _BOUND_SOCKETS.read_bytes().splitlines()]
    except OSError:
        return False
    return any(fields[7:] == [str(file)] for fields in bound)


def _problem(error: Exception, file: Path) -> ListenError:
    if isinstance(error, OSError) and error.errno == errno.EADDRINUSE:
        return ListenError(f"--uds {file} is in use by another server: choose another path, or stop that one")
    reason = error.strerror if isinstance(error, OSError) and error.strerror else str(error)
    return ListenError(f"cannot listen on --uds {file}: {reason}")
