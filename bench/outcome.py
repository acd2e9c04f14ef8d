"""How a request ended: in exactly one class, the more specific one if two fit."""

from __future__ import annotations

from enum import StrEnum


class Outcome(StrEnum):
    """`OK` is success; every other member is a class of failure, in the order of the report."""

    OK = "ok"
    CONNECT = "connect"
    TLS = "tls"
    TIMEOUT_CONNECT = "timeout_connect"
    TIMEOUT_FIRST_BYTE = "timeout_first_byte"
    TIMEOUT_STALL = "timeout_stall"
    TIMEOUT_TOTAL = "timeout_total"
    HTTP_429 = "http_429"
    HTTP_4XX = "http_4xx"
    HTTP_5XX = "http_5xx"
    STREAM_ERROR = "stream_error"
    TRUNCATED = "truncated"
    PROTOCOL = "protocol"
    LENGTH_MISMATCH = "length_mismatch"
    CANCELLED = "cancelled"
    CLIENT_LIMIT = "client_limit"  # last, because records refer to the others by position

    @property
    def is_failure(self) -> bool:
        """Whether the request failed, as opposed to succeeding or being cancelled by the bench."""
        return self not in (Outcome.OK, Outcome.CANCELLED)


def status_outcome(status: int) -> Outcome:
    """The class of an HTTP status of 400 or more."""
    if status == 429:
        return Outcome.HTTP_429
    return Outcome.HTTP_5XX if status >= 500 else Outcome.HTTP_4XX
