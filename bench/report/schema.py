"""The JSON Schema of a result, made from its types and the catalogue of figures. docs/schema publishes it."""

from __future__ import annotations

from inspect import cleandoc
from typing import Any

import msgspec

from bench.figures.catalogue import FIGURES, LATENCIES
from bench.records.result import Result
from bench.records.run import SCHEMA

FILE = f"result-{SCHEMA}.json"


def result_schema() -> dict[str, Any]:
    """The schema (draft 2020-12) of result.json and of `--json`."""
    schema = msgspec.json.schema(Result)
    fields = schema["$defs"]["Figures"]["properties"]
    each = fields["latency"]["additionalProperties"]
    fields["latency"]["properties"] = {name: each | {"description": _described(name)} for name in LATENCIES}
    fields["speed_per_user"]["description"] = _described("speed_per_user")
    title = {"$schema": "https://json-schema.org/draft/2020-12/schema", "title": f"streamgauge result, schema {SCHEMA}"}
    for definition in schema["$defs"].values():
        if "description" in definition:  # a docstring, whose lines Python keeps indented before 3.13
            definition["description"] = cleandoc(definition["description"])
    return title | schema


def schema_file() -> bytes:
    """The schema as docs/schema publishes it."""
    return msgspec.json.format(msgspec.json.encode(result_schema()), indent=2) + b"\n"


def _described(name: str) -> str:
    figure = FIGURES[name]
    return f"{figure.label} in {figure.unit}: {figure.definition}"
