"""A port whose queue is full: whoever knocks hears nothing, until it is opened."""

from __future__ import annotations

import socket
import threading
from collections.abc import Callable
from contextlib import ExitStack

from tests.support.wire import Peer


class FullPort:
    """Swallows every attempt to connect. Closed with the stack that it was given."""

    def __init__(self, stack: ExitStack) -> None:
        self._stack = stack
        self._listener = stack.enter_context(socket.create_server(("127.0.0.1", 0), backlog=0))
        self.address: tuple[str, int] = self._listener.getsockname()
        self.url = f"http://127.0.0.1:{self.address[1]}"
        self._waiting: list[socket.socket] = []
        for _ in range(64):
            waiting = stack.enter_context(socket.socket())
            waiting.settimeout(0.2)
            try:
                waiting.connect(self.address)
            except TimeoutError:
                waiting.close()
                return
            self._waiting.append(waiting)
        raise AssertionError("the queue of the port has no end")

    def open(self, play: Callable[[Peer], None]) -> None:
        """Take connections from now on, and play on each."""
        self._stack.callback(self._close)
        for waiting in self._waiting:
            waiting.close()
        self._listener.listen(1024)
        threading.Thread(target=self._accept, args=(play,), daemon=True).start()

    def _accept(self, play: Callable[[Peer], None]) -> None:
        while True:
            try:
                connection, _ = self._listener.accept()
            except OSError:
                return
            threading.Thread(target=self._play, args=(play, Peer(connection, 1)), daemon=True).start()

    @staticmethod
    def _play(play: Callable[[Peer], None], peer: Peer) -> None:
        try:
            play(peer)
        except OSError:
            pass  # the client left first
        finally:
            peer.close()

    def _close(self) -> None:
        self._listener.shutdown(socket.SHUT_RDWR)
