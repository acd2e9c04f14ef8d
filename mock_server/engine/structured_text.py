"""What the simulated model says where its answer must be an instance of something. Raises `RequestRefusedError`."""

import json
import random
from typing import Any

from .base import StructuredOutput
from .errors import RequestRefusedError
from .regex_text import UnsupportedRegexError, text_matching
from .schema_instance import Schema, UnsupportedSchemaError, instance

_OBJECT = {"answer": "amber", "count": 3, "done": True}


def structured_text(wanted: StructuredOutput, source: random.Random) -> str:
    match wanted.kind:
        case "json":
            return json.dumps(structured_value(wanted.value, source), ensure_ascii=False)
        case "json_object":
            return json.dumps(_OBJECT)
        case "choice":
            return str(source.choice(wanted.value))
        case "regex":
            try:
                return text_matching(wanted.value, source)
            except UnsupportedRegexError as exc:
                raise RequestRefusedError(str(exc), "structured_outputs.regex") from None
        case _:
            raise RequestRefusedError(
                f"the simulated engine does not do structured output by {wanted.kind}", "structured_outputs"
            )


def structured_value(schema: Schema | str, source: random.Random) -> Any:
    """An instance of a JSON schema, given as an object or as text."""
    try:
        return instance(json.loads(schema) if isinstance(schema, str) else schema, source)
    except json.JSONDecodeError as exc:
        raise RequestRefusedError(f"the JSON schema is not valid JSON: {exc}", "structured_outputs.json") from None
    except UnsupportedSchemaError as exc:
        raise RequestRefusedError(f"JSON schema: {exc}") from None
