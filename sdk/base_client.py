"""The base of the blocking and the asynchronous client: the options that both are made with."""

from __future__ import annotations

import os
from collections.abc import Mapping

from typing_extensions import TypedDict

from sdk.address import Address, local_address, parse_address
from sdk.answer_limit import answer_bytes
from sdk.call import Caller
from sdk.deadline import Deadline, Timeouts, timeouts
from sdk.environment import API_KEY_VARIABLE, named_address, named_key
from sdk.request import Endpoint, checked_headers
from sdk.retry import RetryPolicy

DEFAULT_HOST = "127.0.0.1"
DEFAULT_PORT = 8000


class _NoKey(str):
    """The default key, distinct from the same word given by a caller."""

    __slots__ = ()


# ms-swift's clients send this word when no key is given; servers without keys ignore it.
NO_KEY: str = _NoKey("EMPTY")


class ClientOptions(TypedDict, total=False):
    """Keyword arguments of both clients.

    `host` and `port` name the server when there is no base URL; `api_key` is sent as a bearer token (None sends
    none); `timeout` is the total in seconds or `Timeouts`; `headers` are sent with every request;
    `max_answer_bytes` limits an answer (None is 32 MiB). Without an address or a key, `OPENAI_BASE_URL` and
    `OPENAI_API_KEY` apply; see `sdk.environment`.
    """

    host: str | None
    port: int | str | None
    api_key: str | None
    timeout: float | Timeouts | None
    retries: RetryPolicy | None
    headers: Mapping[str, str] | None
    max_answer_bytes: int | None


class BaseClient:
    """One API and how to talk to it."""

    def __init__(
        self,
        base_url: str | None = None,
        *,
        host: str | None = None,
        port: int | str | None = None,
        api_key: str | None = NO_KEY,
        timeout: float | Timeouts | None = None,
        retries: RetryPolicy | None = None,
        headers: Mapping[str, str] | None = None,
        max_answer_bytes: int | None = None,
    ) -> None:
        self.address: Address = _address(base_url, host, port)
        self._timeouts = timeouts(timeout)
        own_headers = checked_headers("headers", headers or {})
        key, advice = api_key, ""
        if api_key is NO_KEY:
            key = named_key(os.environ) or NO_KEY
            if not any(name.lower() == "authorization" for name, _ in own_headers):
                missing = f"no API key was given; pass api_key or set {API_KEY_VARIABLE}"
                advice = missing if key is NO_KEY else f"the key came from {API_KEY_VARIABLE}"
        endpoint = Endpoint(self.address, key, own_headers, advice)
        limit = answer_bytes(max_answer_bytes)
        self._caller = Caller(endpoint, RetryPolicy() if retries is None else retries, limit)

    def __repr__(self) -> str:
        return f"<{type(self).__name__} {self.address}>"

    def _deadline(self, timeout: float | Timeouts | None) -> Deadline:
        return Deadline(self._timeouts if timeout is None else timeouts(timeout))


def _address(base_url: str | None, host: str | None, port: int | str | None) -> Address:
    if base_url is not None:
        return parse_address(base_url)
    if host is None and port is None and (named := named_address(os.environ)) is not None:
        return named
    return local_address(DEFAULT_HOST if host is None else host, DEFAULT_PORT if port is None else port)
