"""From bytes to a checked request, or to a 400 that names the field, the problem and the value."""

from __future__ import annotations

import json
from codecs import BOM_UTF8
from collections.abc import Sequence
from typing import Any, TypeVar

from pydantic import BaseModel, ValidationError
from pydantic_core import ErrorDetails, from_json

from mock_server.errors import ApiError, bad_request

_R = TypeVar("_R", bound=BaseModel)

_RULES = {
    "missing": "is required",
    "string_type": "must be a string",
    "int_type": "must be an integer",
    "float_type": "must be a number",
    "bool_type": "must be true or false",
    "list_type": "must be an array",
    "model_type": "must be an object",
    "too_short": "must not be empty",
    "string_too_short": "must not be empty",
    "too_long": "must have at most {max_length} items",
    "pointed_integers": "must have at most {max_length} items if integers are written as 5.0",
    "string_too_long": "must have at most {max_length} characters",
    "greater_than_equal": "must be at least {ge}",
    "greater_than": "must be above {gt}",
    "less_than_equal": "must be at most {le}",
    "finite_number": "must be a finite number",
    "extra_forbidden": "is not known",
    "string_pattern_mismatch": "must match {pattern}",
    "literal_error": "must be one of {expected}",
}
# Fields that have several forms. pydantic reports the failure of each form; the error lists the forms instead.
_FORMS = {
    "prompt": "a string, an array of strings, an array of token ids, or an array of arrays of token ids",
    "stop": "a string or an array of strings",
    "content": "a string, an array of content parts, or null",
    "logprobs": "a number of tokens, true, or false",
    "tool_choice": '"none", "auto", "required", or an object that names a function',
    "json": "a JSON schema, as an object or as a string",
}
_BRANCHES = ("str", "int", "bool", "NamedTool")
_MAX_SHOWN = 100


def parse(model: type[_R], body: bytes) -> _R:
    """Ignores a byte order mark before the JSON. Raises an `ApiError` (400)."""
    try:
        return model.model_validate_json(body.removeprefix(BOM_UTF8))
    except ValidationError as error:
        raise _explain(error, body) from None


def parse_json(body: bytes) -> Any:
    """The first half of `parse`, for bodies so large that other requests should run before `validate`."""
    try:
        return from_json(body.removeprefix(BOM_UTF8))
    except ValueError as error:
        raise _not_json(str(error), body) from None


def validate(model: type[_R], value: Any) -> _R:
    """The second half of `parse`. Raises an `ApiError` (400)."""
    try:
        return model.model_validate(value)
    except ValidationError as error:
        raise _explain(error, b"") from None


def _explain(error: ValidationError, body: bytes) -> ApiError:
    errors = error.errors(include_url=False)
    first = errors[0]
    if first["type"] == "json_invalid":
        return _not_json(first["ctx"]["error"], body)
    if not first["loc"]:
        return bad_request("The body must be a JSON object")
    field = _path(first["loc"])[0]
    about_field = [error for error in errors if error["loc"][0] == field]
    worst = max(about_field, key=_severity)
    path = _path(worst["loc"])
    name = ".".join(map(str, path))
    return bad_request(f"{name} {_rule(worst, path)}{_got(worst)}", param=name)


def _not_json(problem: str, body: bytes) -> ApiError:
    if 0 in body[:4]:
        problem = "it is in UTF-16 or UTF-32; send it in UTF-8"
    return bad_request(f"The body is not valid JSON: {problem}", code="invalid_json")


def _severity(error: ErrorDetails) -> tuple[bool, int, bool]:
    """Guesses which form of a field the client meant: one that is too long, otherwise the one that got furthest."""
    return error["type"] == "too_long", len(_path(error["loc"])), error["type"] == "too_short"


def _path(loc: Sequence[int | str]) -> list[int | str]:
    """The field as the client knows it, without pydantic's names for the branches of a union."""
    parts = [part if isinstance(part, int) else part[:_MAX_SHOWN] for part in loc]
    return [part for part in parts if isinstance(part, int) or (part.isidentifier() and part not in _BRANCHES)]


def _rule(error: ErrorDetails, path: Sequence[int | str]) -> str:
    is_branch = len(error["loc"]) > len(path)
    if is_branch and path[-1] in _FORMS and error["type"].endswith("_type"):
        return f"must be {_FORMS[str(path[-1])]}"
    rule = _RULES.get(error["type"])
    if rule is None:
        return f"is not valid: {error['msg']}"
    limits = error.get("ctx", {})
    return rule.format(**{name: limit if isinstance(limit, str) else _shown(limit) for name, limit in limits.items()})


def _got(error: ErrorDetails) -> str:
    if error["type"] == "missing":
        return ""
    if error["type"] in ("too_long", "string_too_long"):
        return f" (got {error.get('ctx', {}).get('actual_length') or len(error['input'])})"
    return f" (got {_shown(error['input'])})"


def _shown(value: Any) -> str:
    """A short form of a value as JSON, without its nested values. Reads only as much of it as it shows."""
    if isinstance(value, dict):
        return "an object"
    if isinstance(value, list):
        items = ", ".join(_item(item) for item in value[:_MAX_SHOWN])
        return _cut(f"[{items}]")
    return _cut(_item(value))


def _item(value: Any) -> str:
    if isinstance(value, list):
        return "[…]" if value else "[]"
    if isinstance(value, dict):
        return "{…}" if value else "{}"
    if isinstance(value, float) and value.is_integer():
        value = int(value)
    return json.dumps(value[:_MAX_SHOWN] if isinstance(value, str) else value, ensure_ascii=False, default=str)


def _cut(text: str) -> str:
    return text if len(text) <= _MAX_SHOWN else text[: _MAX_SHOWN - 1] + "…"
