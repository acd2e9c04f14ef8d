"""The cost of schemas, regular expressions and grammars for an engine, and of values for a template.

Engines compile them with recursive functions in C++, so a structure that is nested too deep would end the process.
"""

from __future__ import annotations

import json
from collections.abc import Iterator
from typing import Any

from mock_server.errors import ApiError, bad_request
from mock_server.limits.grammar_nesting import grammar_nesting, num_grammar_parts
from mock_server.limits.json_text import most_values, nesting, num_values
from mock_server.limits.pattern_size import num_parts, pattern_nesting, pattern_size
from mock_server.request.bodies import ChatRequest, GenerationRequest, StructuredOutputs, TokenizeRequest, Tool
from mock_server.request_limits import (
    MAX_ALTERNATIVES_NESTING,
    MAX_GRAMMAR_PARTS,
    MAX_GROUP_NESTING,
    MAX_NESTING,
    MAX_PATTERN_PARTS,
    MAX_PATTERN_SIZE,
    MAX_PATTERNS,
    MAX_SCHEMA_VALUES,
    SCHEMAS_OF_ALL_CHOICES,
)

_COUNTED = (str, dict, list)
_ALTERNATIVES = frozenset({"oneOf", "anyOf", "allOf"})
_PATTERNS = ("structured_outputs.regex", "structured_outputs.whitespace_pattern")
_JSON_TEXTS = ("structured_outputs.json", "structured_outputs.structural_tag")
_GRAMMAR = "structured_outputs.grammar"


def check_schemas(request: GenerationRequest, choices: int, limit: int) -> None:
    """Raises `ApiError` (400). `limit` is a number of characters, 0 for none; the limits on nesting always apply."""
    if not _has_schemas(request):
        return
    total = _check_all(_schemas(request), limit)
    if limit and total * choices > SCHEMAS_OF_ALL_CHOICES * limit:
        raise bad_request(
            f"{choices} choices are too many for schemas of {total} characters: the product may be at most"
            f" {SCHEMAS_OF_ALL_CHOICES * limit} ({SCHEMAS_OF_ALL_CHOICES} times --max-schema-size)",
            param="n" if request.n else "prompt",
        )


def check_template_values(request: TokenizeRequest, limit: int) -> None:
    """Like `check_schemas`, for a request that generates nothing."""
    _check_all(_template_values(request), limit)


def _check_all(found: Iterator[tuple[str, Any]], limit: int) -> int:
    cost = _Cost(limit)
    for field, value in found:
        if value is not None:
            cost.add(field, value)
    return cost.total


def _has_schemas(request: GenerationRequest) -> bool:
    """False for most requests, which then need no search."""
    is_constrained = request.structured_outputs is not None or request.response_format is not None
    return is_constrained or (isinstance(request, ChatRequest) and bool(request.tools or request.chat_template_kwargs))


def _schemas(request: GenerationRequest) -> Iterator[tuple[str, Any]]:
    """Fields and values of the constraints on the answer and of the values for the template."""
    wanted = request.structured_outputs
    if wanted is not None:
        for name in StructuredOutputs.model_fields:
            yield f"structured_outputs.{'json' if name == 'json_schema' else name}", getattr(wanted, name)
    if request.response_format is not None:
        wrapped = request.response_format.json_schema
        yield "response_format.json_schema.schema", wrapped.json_schema if wrapped is not None else None
        yield "response_format.schema", request.response_format.plain_schema
    if isinstance(request, ChatRequest):
        yield from _template_values(request)


def _template_values(request: ChatRequest | TokenizeRequest) -> Iterator[tuple[str, Any]]:
    yield "chat_template_kwargs", request.chat_template_kwargs
    for index, tool in enumerate(request.tools or ()):
        yield from _of_tool(tool, f"tools.{index}")


def _of_tool(tool: Tool, path: str) -> Iterator[tuple[str, Any]]:
    """Templates see its unknown fields as well."""
    yield f"{path}.function.parameters", tool.function.parameters
    yield f"{path}.function", tool.function.model_extra or None
    yield path, tool.model_extra or None


class _Cost:
    """The cost of all schemas and values of a request. Counting stops at the first limit that is exceeded."""

    def __init__(self, limit: int) -> None:
        self._limit = limit
        self._field = ""
        self._values = self._patterns = self._pattern_parts = 0
        self.total = 0
        """Characters of all fields."""

    def add(self, field: str, value: Any) -> None:
        """Raises `ApiError` (400)."""
        self._field = field
        self._walk(value, is_pattern=field in _PATTERNS, counts=True)
        if isinstance(value, str) and field in _JSON_TEXTS:
            self._add_json(value)
        elif isinstance(value, str) and field == _GRAMMAR:
            self._check_grammar(value)
        if self._limit and self.total > self._limit:
            raise _too_large("tools" if field.startswith("tools.") else field, self._limit)

    def _walk(self, value: Any, *, is_pattern: bool, counts: bool) -> None:
        """Counts each value as at least two characters, unless `counts` is false: then it has been counted as text."""
        rest: list[tuple[Any, bool, int, int]] = [(value, is_pattern, 1, 0)]
        characters = 2
        while rest:
            found, is_pattern, depth, alternatives = rest.pop()
            if isinstance(found, str):
                characters += len(found)
                if is_pattern:
                    self._check_pattern(found)
            elif isinstance(found, dict):
                self._check_container(found, depth, alternatives)
                characters += 3 * len(found)
                for key, member in found.items():
                    characters += len(key)
                    if key == "patternProperties" and isinstance(member, dict):
                        rest += [(pattern, True, depth + 1, alternatives) for pattern in member]
                    if isinstance(member, _COUNTED):
                        is_alternatives = key in _ALTERNATIVES and isinstance(member, list)
                        rest.append((member, key == "pattern", depth + 1, alternatives + is_alternatives))
            elif isinstance(found, list):
                self._check_container(found, depth, alternatives)
                characters += 2 * len(found)
                rest += [(item, False, depth + 1, alternatives) for item in found if isinstance(item, _COUNTED)]
            if counts and self._limit and characters > self._limit:
                raise _too_large(self._field, self._limit)
        if counts:
            self.total += characters

    def _add_json(self, text: str) -> None:
        """Text that is not JSON is left for the engine to refuse."""
        if most_values(text) > MAX_SCHEMA_VALUES and num_values(text) > MAX_SCHEMA_VALUES:
            raise self._too_many_values()
        if nesting(text, MAX_NESTING) > MAX_NESTING:
            raise self._too_deep()
        try:
            value = json.loads(text, parse_int=float)
        except (ValueError, RecursionError):
            return
        self._walk(value, is_pattern=False, counts=False)

    def _check_container(self, found: dict[str, Any] | list[Any], depth: int, alternatives: int) -> None:
        self._values += len(found)
        if self._values > MAX_SCHEMA_VALUES:
            raise self._too_many_values()
        if depth > MAX_NESTING:
            raise self._too_deep()
        if alternatives > MAX_ALTERNATIVES_NESTING:
            raise self._wrong(f"has oneOf, anyOf or allOf nested more than {MAX_ALTERNATIVES_NESTING} deep: merge some")

    def _check_pattern(self, pattern: str) -> None:
        self._patterns += 1
        if self._patterns > MAX_PATTERNS:
            raise self._wrong(
                f"has, with the fields before it, more than {MAX_PATTERNS} regular expressions: write fewer"
            )
        self._pattern_parts += num_parts(pattern)
        if self._pattern_parts > MAX_PATTERN_PARTS:
            raise self._wrong(
                f"has, with the fields before it, regular expressions of more than {MAX_PATTERN_PARTS} groups, sets,"
                " escapes and counted repetitions: write fewer"
            )
        if pattern_nesting(pattern, MAX_GROUP_NESTING) > MAX_GROUP_NESTING:
            raise self._wrong(
                f"has a regular expression with parentheses nested more than {MAX_GROUP_NESTING} deep: nest fewer of"
                " them"
            )
        is_long = "{" in pattern or len(pattern) > MAX_PATTERN_SIZE
        if is_long and pattern_size(pattern, MAX_PATTERN_SIZE) > MAX_PATTERN_SIZE:
            raise self._wrong(
                f"has a regular expression of more than {MAX_PATTERN_SIZE} characters with its counted repetitions"
                " written out: repeat less"
            )

    def _check_grammar(self, grammar: str) -> None:
        if num_grammar_parts(grammar) > MAX_GRAMMAR_PARTS:
            raise self._wrong(f"has more than {MAX_GRAMMAR_PARTS} brackets and quotes: write a smaller grammar")
        if grammar_nesting(grammar, MAX_GROUP_NESTING) > MAX_GROUP_NESTING:
            raise self._wrong(
                f"has parentheses nested more than {MAX_GROUP_NESTING} deep: make the inner ones rules of their own"
            )

    def _too_deep(self) -> ApiError:
        return self._wrong(f"has objects and arrays nested more than {MAX_NESTING} deep: nest fewer of them")

    def _too_many_values(self) -> ApiError:
        return self._wrong(
            f"has, with the fields before it, more than {MAX_SCHEMA_VALUES} values: send less in one request"
        )

    def _wrong(self, problem: str) -> ApiError:
        return bad_request(f"{self._field} {problem}", param=self._field)


def _too_large(field: str, limit: int) -> ApiError:
    return bad_request(f"{field} has more than {limit} characters (--max-schema-size)", param=field)
