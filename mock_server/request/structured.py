"""The structure that a request asks for: OpenAI's `response_format` or vLLM's `structured_outputs`."""

from __future__ import annotations

from typing import Any

from mock_server.engine.base import StructuredOutput
from mock_server.errors import bad_request
from mock_server.request.bodies import GenerationRequest, ResponseFormat, StructuredOutputs

_CONSTRAINTS = {
    "json_schema": "json",
    "regex": "regex",
    "choice": "choice",
    "grammar": "grammar",
    "json_object": "json_object",
    "structural_tag": "structural_tag",
}
_OPTIONS = ("disable_any_whitespace", "disable_additional_properties", "whitespace_pattern")


def structured_output(request: GenerationRequest) -> StructuredOutput | None:
    """Raises `ApiError` (400) for constraints that contradict each other or are incomplete."""
    wanted, by_format = request.structured_outputs, None
    if request.response_format is not None:
        by_format = _from_format(request.response_format)
    if wanted is None:
        return by_format
    if by_format is not None:
        raise bad_request("send either response_format or structured_outputs, not both", param="structured_outputs")
    return _from_constraints(wanted)


def _from_format(wanted: ResponseFormat) -> StructuredOutput | None:
    if wanted.type == "text":
        return None
    wrapped = wanted.json_schema.json_schema if wanted.json_schema is not None else None
    if wanted.type == "json_schema" and wrapped is not None:
        return StructuredOutput("json", wrapped, origin="response_format.json_schema.schema")
    if wanted.plain_schema is not None:
        return StructuredOutput("json", wanted.plain_schema, origin="response_format.schema")
    if wanted.type == "json_object":
        return StructuredOutput("json_object", True, origin="response_format")
    raise bad_request(
        "response_format.json_schema.schema is required for type 'json_schema'",
        param="response_format.json_schema.schema",
    )


def _from_constraints(wanted: StructuredOutputs) -> StructuredOutput:
    given: dict[str, Any] = {
        kind: value for name, kind in _CONSTRAINTS.items() if (value := getattr(wanted, name)) is not None
    }
    if given.get("json_object") is False:
        del given["json_object"]
    if len(given) != 1:
        named = f" (got {', '.join(given)})" if given else ""
        raise bad_request(
            f"structured_outputs must have exactly one of {', '.join(_CONSTRAINTS.values())}{named}",
            param="structured_outputs",
        )
    ((kind, value),) = given.items()
    options = {name: option for name in _OPTIONS if (option := getattr(wanted, name))}
    return StructuredOutput(kind, value, options, origin=f"structured_outputs.{kind}")  # type: ignore[arg-type]
