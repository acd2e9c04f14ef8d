"""The clients that the functions use: one for each endpoint and key, up to a number."""

from __future__ import annotations

import os
from threading import Lock
from typing import Any, TypeVar, cast

from sdk.base_client import NO_KEY, BaseClient
from sdk.environment import API_KEY_VARIABLE, BASE_URL_VARIABLE

MAX_CLIENTS = 128
ClientT = TypeVar("ClientT", bound=BaseClient)


class ClientCache:
    """Creates clients on first use, and drops the least recently used ones.

    A dropped client lives until its calls and streams have ended; then its connections close.
    """

    def __init__(self, limit: int = MAX_CLIENTS) -> None:
        self._limit = limit
        self._clients: dict[tuple[Any, ...], BaseClient] = {}  # in the order of their last use
        self.unlock()

    def __len__(self) -> int:
        return len(self._clients)

    def unlock(self) -> None:
        """In a forked child: a thread of the parent may hold the lock."""
        self._lock = Lock()

    def client(
        self,
        kind: type[ClientT],
        host: str | None,
        port: int | str | None,
        api_key: str | None,
        url: str | None,
    ) -> ClientT:
        """The client of an endpoint and key; a forked process creates its own. Raises ConfigError."""
        named = (os.environ.get(BASE_URL_VARIABLE), os.environ.get(API_KEY_VARIABLE))  # they may change
        key = (kind, url or (host, str(port)), api_key, api_key is NO_KEY, named, os.getpid())
        dropped: list[BaseClient] = []  # released after the lock, because that closes connections
        with self._lock:
            client = self._clients.pop(key, None)
            if client is None:
                client = kind(url, host=host, port=port, api_key=api_key)
            self._clients[key] = client
            while len(self._clients) > self._limit:
                dropped.append(self._clients.pop(next(iter(self._clients))))
        return cast(ClientT, client)
