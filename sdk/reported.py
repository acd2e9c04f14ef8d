"""Reads the errors that servers report, in each of the forms they use."""

from __future__ import annotations

import json
from typing import Any

from sdk.body import shortened
from sdk.errors import StreamServerError
from sdk.shown_text import MAX_FACT, MAX_QUOTED, shown

_MESSAGES = (
    "message",
    "msg",
    "detail",
    "error_description",
    "error_msg",
    "error_message",
    "description",
    "reason",
    "title",
)


_LONGEST = 64 * 1024  # characters of each field; an event of a stream may have millions


def error_facts(payload: Any, *, only_explicit: bool = False) -> dict[str, Any] | None:
    """`server_message`, `code`, `type` and `param` of a reported error, or None if `payload` is not an error.

    Reads OpenAI's `{"error": {…}}`, the same with a text or a list, alone or in a list, the flat
    `{"object": "error", "message": …}` of ms-swift and older vLLM, and FastAPI's `{"detail": …}`. An empty `error`
    (null, an empty text or object, an object of empty fields) is not an error. With `only_explicit`, a field must name
    it an error.
    """
    try:
        return _found(payload, only_explicit)
    except RecursionError:
        return {"server_message": "an error nested too deeply to be read", "code": None, "type": None, "param": None}


def is_not_empty(error: Any) -> bool:
    """Whether an `error` is not empty: some servers send an empty one with every answer."""
    if isinstance(error, dict):
        return any(map(is_not_empty, error.values()))
    if isinstance(error, list):
        return any(map(is_not_empty, error))
    return bool(error.strip()) if isinstance(error, str) else error not in (None, False, 0)


def reported_error(payload: Any, *, only_explicit: bool = False) -> StreamServerError | None:
    """The error that the server reports with a success status, or None if `payload` reports none."""
    facts = error_facts(payload, only_explicit=only_explicit)
    return None if facts is None else StreamServerError(error_words(**facts), **facts)


def error_words(server_message: str, code: str | int | None = None, **_: Any) -> str:
    """The message of an error reported with a success status."""
    number = "" if code is None else f" ({shown(str(code), MAX_FACT)})"
    return f"the server reported an error{number}: {shown(server_message, MAX_QUOTED) or 'no reason given'}"


def _found(payload: Any, only_explicit: bool) -> dict[str, Any] | None:
    if isinstance(payload, list):
        return next((found for item in payload if (found := _found(item, only_explicit))), None)
    if not isinstance(payload, dict):
        return None
    error = payload.get("error")
    if is_not_empty(error):
        return _facts(error, payload)
    if payload.get("object") == "error":
        return _facts(payload, payload)
    if only_explicit or payload.get("choices"):
        return None
    if is_not_empty(errors := payload.get("errors")):
        return _facts(errors, payload)
    if is_not_empty(payload.get("detail")) or any(_is_text(payload.get(name)) for name in ("message", "msg")):
        return _facts(payload, payload)
    return None


def _facts(error: Any, payload: dict[str, Any]) -> dict[str, Any]:
    fields = next((item for item in error if isinstance(item, dict)), {}) if isinstance(error, list) else error
    fields = fields if isinstance(fields, dict) else {}
    said = _words(error)
    if error is not payload:  # Spring's form: {"status": 404, "error": "Not Found", "message": "No handler for …"}
        beside = next((payload[name] for name in _MESSAGES if _is_text(payload.get(name))), "")
        said = ": ".join(dict.fromkeys(text for text in (said, beside.strip()) if text))
    named = payload.get("type") if payload.get("type") != "error" else None
    number = error if isinstance(error, int) and not isinstance(error, bool) else None
    facts = {
        "server_message": said or ("" if error is payload else shortened(_as_json(error))),
        "code": next((code for code in (number, _code(fields), _code(payload)) if code is not None), None),
        "type": _text_or_none(fields.get("type") or named),
        "param": _text_or_none(fields.get("param") or payload.get("param")),
    }
    return {name: fact[:_LONGEST] if isinstance(fact, str) else fact for name, fact in facts.items()}


def _words(error: Any) -> str:
    """The words of an error in any form; empty if it has none."""
    if isinstance(error, str):
        return error.strip()
    if isinstance(error, list):
        return "; ".join(words for words in map(_words, error) if words)
    if not isinstance(error, dict):
        return ""
    if "loc" in error and "msg" in error:  # a field that pydantic rejected
        place = error["loc"] if isinstance(error["loc"], (list, tuple)) else [error["loc"]]
        return f"{'.'.join(map(str, place))}: {error['msg']}"
    return next((words for name in (*_MESSAGES, "error") if (words := _words(error.get(name)))), "")


def _code(fields: dict[str, Any]) -> str | int | None:
    code = fields.get("code")
    if isinstance(code, str) and code:
        return code
    numbers = (code, fields.get("status_code"), fields.get("status"))
    return next(
        (int(n) for n in numbers if isinstance(n, (int, float)) and not isinstance(n, bool) and n == n // 1), None
    )


def _text_or_none(value: Any) -> str | None:
    return None if value is None else value if isinstance(value, str) else _as_json(value)


def _as_json(value: Any) -> str:
    return json.dumps(value, ensure_ascii=False)


def _is_text(value: Any) -> bool:
    return isinstance(value, str) and bool(value.strip())
