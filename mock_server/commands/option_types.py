"""Types of options that click does not have."""

from __future__ import annotations

import json
import math
import re
from typing import Any

import click

from mock_server.engine import options as engine_options
from mock_server.engine.base import Adapter
from mock_server.engine.ranges import Number, Whole

_UNITS = {"": 1, "k": 1000, "m": 1000**2, "g": 1000**3, "K": 1024, "M": 1024**2, "G": 1024**3}
_TRUE, _FALSE = ("true", "yes", "on", "1"), ("false", "no", "off", "0")


class TextParam(click.ParamType[str]):
    """Text that is not empty: an empty variable in a shell script must not look like an omitted option."""

    name = "TEXT"

    def convert(self, value: Any, param: click.Parameter | None, ctx: click.Context | None) -> str:
        text = str(value)
        if not text:
            self.fail("must not be empty: leave the option out instead", param, ctx)
        return text


TEXT = TextParam()


class HostParam(TextParam):
    """An address or a name; IPv6 also in brackets, as in URLs."""

    name = "ADDRESS"

    def convert(self, value: Any, param: click.Parameter | None, ctx: click.Context | None) -> str:
        host = super().convert(value, param, ctx).strip()
        return host[1:-1] if host.startswith("[") and host.endswith("]") else host


class SwitchParam(click.ParamType[bool]):
    """`true` or `false`."""

    name = "[true|false]"

    def convert(self, value: Any, param: click.Parameter | None, ctx: click.Context | None) -> bool:
        word = str(value).lower()
        if word not in (*_TRUE, *_FALSE):
            self.fail(f"must be true or false (got {value!r})", param, ctx)
        return word in _TRUE


class IntegerParam(click.IntRange):
    """An integer in a range."""

    name = "integer"

    def get_metavar(self, param: click.Parameter, ctx: click.Context) -> str:
        return "N"


class WideIntegerParam(IntegerParam):
    """An integer in a range that the help need not mention."""

    def _describe_range(self) -> str:
        return ""


class NumberParam(click.FloatRange):
    """A finite number, which may be in a range."""

    name = "number"

    def _describe_range(self) -> str:
        return super()._describe_range() if self.min is not None else ""

    def convert(self, value: Any, param: click.Parameter | None, ctx: click.Context | None) -> float:
        number: float = super().convert(value, param, ctx)
        if not math.isfinite(number):
            self.fail(f"must be a finite number (got {value})", param, ctx)
        return number


class AdapterParam(click.ParamType[Adapter]):
    """`name=path`, `name` alone (for engines that need no files), or vLLM's JSON object."""

    name = "NAME=PATH"

    def convert(self, value: Any, param: click.Parameter | None, ctx: click.Context | None) -> Adapter:
        text = json.dumps(value) if isinstance(value, dict) else str(value)
        if text.startswith("{"):
            return self._from_json(text, param, ctx)
        name, _, path = text.partition("=")
        if not name:
            self.fail(f"{text!r} has no name: write name=path", param, ctx)
        return Adapter(name, path)

    def _from_json(self, text: str, param: click.Parameter | None, ctx: click.Context | None) -> Adapter:
        try:
            fields = json.loads(text)
        except ValueError as error:
            self.fail(f"{text!r} is not a JSON object with name and path: {error}", param, ctx)
        name, path = fields.get("name"), fields.get("path", "")
        if not isinstance(name, str) or not isinstance(path, str):
            self.fail(f"{text!r} is not an object with name and path, both strings", param, ctx)
        return Adapter(name, path)


class JsonObjectParam(click.ParamType[dict[str, Any]]):
    """A JSON object."""

    name = "JSON"

    def convert(self, value: Any, param: click.Parameter | None, ctx: click.Context | None) -> dict[str, Any]:
        if isinstance(value, dict):
            return value
        try:
            found = json.loads(value)
        except ValueError as error:
            self.fail(f"{value!r} is not JSON: {error}", param, ctx)
        if not isinstance(found, dict):
            self.fail(f"{value!r} is not a JSON object", param, ctx)
        return found


class SizeParam(click.ParamType[int]):
    """Bytes: 536870912, 512M (1024²), 512m (1000²), 0.5G."""

    name = "SIZE"

    def convert(self, value: Any, param: click.Parameter | None, ctx: click.Context | None) -> int:
        if isinstance(value, int):
            return value
        value = str(value)
        found = re.fullmatch(r"(\d+(?:\.\d+)?)([kmgKMG]?)", value)
        if found is None:
            self.fail(f"{value!r} is not a size: give bytes, or add K, M, G (1024) or k, m, g (1000)", param, ctx)
        size = int(float(found[1]) * _UNITS[found[2]])
        if not size:
            self.fail(f"must be at least one byte (got {value})", param, ctx)
        return size


def param_type(values: engine_options.Values) -> click.ParamType[Any]:
    """What the command line reads for an engine's option; `Section.switch` is for options that are true or false."""
    match values:
        case Whole(low, high, shows_range):
            return (IntegerParam if shows_range else WideIntegerParam)(low, high)
        case Number(low, high, low_open):
            return NumberParam(low, high, min_open=low_open)
        case engine_options.OneOf(words):
            return click.Choice(words)
        case engine_options.Size():
            return SizeParam()
        case engine_options.JsonObject():
            return JsonObjectParam()
        case engine_options.Switch():
            return SwitchParam()
        case engine_options.Text():
            return TEXT
