"""Looks up the addresses of host names, in threads that no caller needs to wait for.

`getaddrinfo` cannot be interrupted. A call that runs out of time abandons its look-up: the thread ends with the
look-up, and delays neither an event loop nor the end of the process. There are at most `MAX_THREADS` threads.
"""

from __future__ import annotations

import os
import socket
from collections import deque
from concurrent.futures import Future
from threading import Lock, Thread
from typing import Any

MAX_THREADS = 16

Address = tuple[int, tuple[Any, ...]]  # the family, and the argument of `connect`
Addresses = list[Address]


def literal(host: str, port: int) -> Addresses | None:
    """The address of a host that is an IP address; None for a name."""
    for family, address in ((socket.AF_INET, (host, port)), (socket.AF_INET6, (host, port, 0, 0))):
        try:
            socket.inet_pton(family, host)
        except (OSError, ValueError):
            continue
        return [(family, address)]
    return None


class LookUps:
    """The look-ups under way. Calls that need the same name at the same time share one."""

    def __init__(self) -> None:
        self.start_over()

    def start_over(self) -> None:
        """Begin empty, for a forked child: it does not have the threads of its parent."""
        self._lock = Lock()
        self._queue: deque[tuple[str, int]] = deque()
        self._under_way: dict[tuple[str, int], Future[Addresses]] = {}
        self._threads = 0

    def begin(self, host: str, port: int) -> Future[Addresses]:
        """Look up a name; the error of the future is the OSError of `getaddrinfo`."""
        name = (host, port)
        with self._lock:
            future = self._under_way.get(name)
            if future is not None:
                return future
            future = self._under_way[name] = Future()
            future.set_running_or_notify_cancel()  # others may share it, so a caller that gives up must not cancel it
            self._queue.append(name)
            is_thread_needed = self._threads < MAX_THREADS
            self._threads += is_thread_needed
        if is_thread_needed:
            Thread(target=self._run, name="look-up", daemon=True).start()
        return future

    def _run(self) -> None:
        while True:
            with self._lock:
                if not self._queue:
                    self._threads -= 1
                    return
                name = self._queue.popleft()
                future = self._under_way[name]
            try:
                found = _look_up(*name)
            except Exception as error:
                self._forget(name)
                future.set_exception(error)
            else:
                self._forget(name)
                future.set_result(found)

    def _forget(self, name: tuple[str, int]) -> None:
        with self._lock:
            del self._under_way[name]


def _look_up(host: str, port: int) -> Addresses:
    try:
        found = socket.getaddrinfo(host, port, type=socket.SOCK_STREAM)
    except UnicodeError:  # the text cannot be a host name
        found = []
    if not found:
        raise socket.gaierror(socket.EAI_NONAME, "Name or service not known")
    return list(dict.fromkeys((family, address) for family, _, _, _, address in found))


look_ups: LookUps = LookUps()
os.register_at_fork(after_in_child=look_ups.start_over)
