"""The JSON Schemas of what the bench writes, made from its types. docs/schema publishes them."""

from __future__ import annotations

from collections.abc import Callable
from inspect import cleandoc
from typing import Any

import msgspec

from bench.compare.comparison import COMPARISON_SCHEMA, Comparison
from bench.figures.catalogue import FIGURES, LATENCIES
from bench.records.result import Result
from bench.records.run import SCHEMA


def result_schema() -> dict[str, Any]:
    """The schema (draft 2020-12) of result.json and of `--json`."""
    schema = _schema(Result, f"streamgauge result, schema {SCHEMA}")
    fields = schema["$defs"]["Figures"]["properties"]
    each = fields["latency"]["additionalProperties"]
    fields["latency"]["properties"] = {name: each | {"description": _described(name)} for name in LATENCIES}
    fields["speed_per_user"]["description"] = _described("speed_per_user")
    return schema


def comparison_schema() -> dict[str, Any]:
    """The schema (draft 2020-12) of what `compare --json` writes."""
    return _schema(Comparison, f"streamgauge comparison, schema {COMPARISON_SCHEMA}")


SCHEMAS: dict[str, Callable[[], dict[str, Any]]] = {
    f"result-{SCHEMA}.json": result_schema,
    f"comparison-{COMPARISON_SCHEMA}.json": comparison_schema,
}
"""By the name of the file in docs/schema."""


def schema_file(name: str) -> bytes:
    """A schema as docs/schema publishes it."""
    return msgspec.json.format(msgspec.json.encode(SCHEMAS[name]()), indent=2) + b"\n"


def _schema(kind: type[msgspec.Struct], title: str) -> dict[str, Any]:
    schema = msgspec.json.schema(kind)
    for definition in schema["$defs"].values():
        if "description" in definition:  # a docstring, whose lines Python keeps indented before 3.13
            definition["description"] = cleandoc(definition["description"])
    return {"$schema": "https://json-schema.org/draft/2020-12/schema", "title": title} | schema


def _described(name: str) -> str:
    figure = FIGURES[name]
    return f"{figure.label} in {figure.unit}: {figure.definition}"
