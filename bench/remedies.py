"""What to try after a failure, by its class and status. Pure."""

from __future__ import annotations

from bench.outcome import Outcome

_FEWER = "fewer streams, or a lower --request-rate"
_BY_STATUS = {
    401: "give the key with --api-key or OPENAI_API_KEY, or a gateway's own header with --header",
    403: "give a key that may do this with --api-key, or a gateway's own header with --header",
    404: "check --model, and the path in --base-url",
    407: "a proxy answers instead of the server: --base-url must name the server itself",
    413: "shorter prompts: --input-len or --prompts",
}
_BY_OUTCOME = {
    Outcome.CONNECT: "look at the server's log: it does not accept connections any more",
    Outcome.TIMEOUT_CONNECT: f"{_FEWER}, or a longer --connect-timeout",
    Outcome.TIMEOUT_FIRST_BYTE: f"{_FEWER}, or a longer --first-byte-timeout",
    Outcome.TIMEOUT_STALL: f"{_FEWER}, or a longer --stall-timeout",
    Outcome.TIMEOUT_TOTAL: f"{_FEWER}, shorter answers (--output-len), or a longer --timeout",
    Outcome.HTTP_429: f"{_FEWER}: the server limits what it takes",
    Outcome.HTTP_5XX: "look at the server's log",
    Outcome.STREAM_ERROR: "look at the server's log",
    Outcome.TRUNCATED: "look at the server's log, and at the time limits of proxies in between",
}


_BEFORE_LOAD = {
    Outcome.HTTP_429: "the server limits who may ask it, and how often: wait, or give another key",
    Outcome.HTTP_5XX: "look at the server's log",
    Outcome.STREAM_ERROR: "look at the server's log",
    Outcome.TRUNCATED: "look at the server's log",
}


def remedy(outcome: Outcome, status: int | None, said: str, *, under_load: bool) -> str:
    """What to try; empty if the message already says so, or if there is no general advice."""
    if "--" in said:
        return ""
    if status == 503:
        return (
            f"{_FEWER}: the server is full" if under_load else "the server is full, or still loading: try again later"
        )
    if outcome in (Outcome.HTTP_4XX, Outcome.HTTP_5XX) and status in _BY_STATUS:
        return _BY_STATUS[status]
    return (_BY_OUTCOME if under_load else _BEFORE_LOAD).get(outcome, "")
