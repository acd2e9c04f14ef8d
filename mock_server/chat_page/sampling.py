"""The sampling settings of the page, as fields of a request. Pure."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from mock_server.chat_page.texts import Words
from mock_server.engine.ranges import Number, Range, Whole

FIELDS: Mapping[str, Range] = {
    "temperature": Number(0, 2),
    "top_p": Number(0, 1, low_open=True),
    "top_k": Whole(-1),
    "max_tokens": Whole(1),
    "seed": Whole(0),
}
"""The fields in the page's order, with their ranges. One that is left empty is not sent: the server decides."""


class SamplingError(ValueError):
    """A setting is out of its range. The message names it, its value and the range, in the page's language."""


def request_fields(values: Sequence[object], words: Words) -> dict[str, Any]:
    """The fields that are not empty; `values` are in the order of `FIELDS`. Raises `SamplingError`."""
    fields: dict[str, Any] = {}
    for (name, allowed), value in zip(FIELDS.items(), values, strict=True):
        if value is None or value == "":
            continue
        if isinstance(value, bool) or not isinstance(value, int | float) or not allowed.holds(value):
            label = getattr(words, name)
            raise SamplingError(words.out_of_range.format(field=label, wanted=interval(allowed), value=value))
        fields[name] = int(value) if isinstance(allowed, Whole) else value
    return fields


def interval(allowed: Range) -> str:
    """A range as mathematics writes it, which needs no translation."""
    if allowed.high is None:
        return f"≥ {allowed.low:g}"
    opening = "(" if isinstance(allowed, Number) and allowed.low_open else "["
    return f"{opening}{allowed.low:g}, {allowed.high:g}]"
