"""Converts chunks and answers whose fields have unexpected types to the expected form. Pure."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

from bench.target import read_json, split_content, whole_characters

MOST_COUNT = 2**31 - 1  # of tokens, the same limit as for requested lengths
_TEXTS = ("reasoning", "reasoning_content", "refusal")
_COUNTS = ("prompt_tokens", "completion_tokens")


def mend(payload: bytes) -> Any:
    """The JSON with converted fields: content lists to text, counts to integers. Raises ValueError if it is not JSON.

    Content that cannot be read as text is left as it is, so that the caller refuses it.
    """
    found = read_json(whole_characters(payload))
    if isinstance(found, dict):
        if "usage" in found:
            found["usage"] = _mend_usage(found["usage"])
        for choice in _objects(found.get("choices")):
            _mend_choice(choice)
    return found


def _mend_choice(choice: dict[str, Any]) -> None:
    reason = choice.get("finish_reason")
    if reason is not None and not isinstance(reason, str):
        choice["finish_reason"] = str(reason)  # whatever the reason, the answer is complete
    if not isinstance(choice.get("token_ids"), list):
        choice.pop("token_ids", None)
    for name in ("delta", "message"):
        if isinstance(message := choice.get(name), dict):
            _mend_message(message)


def _mend_message(message: dict[str, Any]) -> None:
    if not isinstance(message.get("role"), str):
        message.pop("role", None)
    for name in _TEXTS:
        if name in message and not isinstance(message[name], str):
            message[name] = "…" if message[name] else None  # it counts as text, whatever it holds
    if isinstance(content := message.get("content"), (list, dict)):
        parts = split_content(content)
        message["content"] = parts.text
        if parts.reasoning:
            message["reasoning"] = parts.reasoning
        if parts.refusal:
            message["refusal"] = parts.refusal
    calls = message.get("tool_calls")
    if calls is not None and not isinstance(calls, list):
        message["tool_calls"] = [calls] if calls else None


def _mend_usage(usage: Any) -> dict[str, Any] | None:
    if not isinstance(usage, dict):
        return None
    mended: dict[str, Any] = {name: _count(usage.get(name)) for name in _COUNTS}
    details = usage.get("prompt_tokens_details")
    if isinstance(details, dict):
        mended["prompt_tokens_details"] = {"cached_tokens": _count(details.get("cached_tokens"))}
    return mended


def _count(value: Any) -> int | None:
    """The number of tokens in a field; None if the field has no such number."""
    if isinstance(value, str) and value.isascii() and value.isdecimal() and len(value) < 19:
        value = int(value)
    if isinstance(value, bool) or not isinstance(value, int | float) or not 0 <= value <= MOST_COUNT:
        return None
    return int(value) if value == int(value) else None


def _objects(found: Any) -> Iterator[dict[str, Any]]:
    return (item for item in found if isinstance(item, dict)) if isinstance(found, list) else iter(())
