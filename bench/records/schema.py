"""The JSON Schema of a result, made from its types; docs/schema has it published."""

from __future__ import annotations

from typing import Any

import msgspec

from bench.records.result import Result
from bench.records.run import SCHEMA

FILE = f"result-{SCHEMA}.json"


def result_schema() -> dict[str, Any]:
    """The schema (draft 2020-12) of result.json and of `--json`."""
    schema = msgspec.json.schema(Result)
    title = {"$schema": "https://json-schema.org/draft/2020-12/schema", "title": f"streamgauge result, schema {SCHEMA}"}
    return title | schema


def schema_file() -> bytes:
    """As it is published."""
    return msgspec.json.format(msgspec.json.encode(result_schema()), indent=2) + b"\n"
