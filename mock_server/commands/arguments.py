"""The forms that options are given in: `-` and `_` alike, several values after one option, `--flag true`."""

import json
import re
from collections.abc import Callable, Collection, Sequence
from typing import Any, TypeVar

import click

from ..engine.base import Adapter

_F = TypeVar("_F", bound=Callable[..., Any])
_Decorator = Callable[[_F], _F]
_HELP_WIDTH = 34
_UNITS = {"": 1, "k": 1000, "m": 1000**2, "g": 1000**3, "K": 1024, "M": 1024**2, "G": 1024**3}


def dashed(name: str) -> str:
    """An option's or command's name as it is known here."""
    return name.replace("_", "-")


CONTEXT = {"token_normalize_func": dashed, "help_option_names": ["-h", "--help"], "max_content_width": 112}


def repeat_option(args: Sequence[str], options: Collection[str]) -> list[str]:
    """`--x a b` as `--x a --x b`, for the options that take several values."""
    expanded: list[str] = []
    current: str | None = None
    takes_more = False
    for arg in args:
        if arg.startswith("--"):
            name = dashed(arg.split("=")[0])
            current = name if name in options else None
            takes_more = "=" in arg
        elif current is not None and not arg.startswith("-"):
            if takes_more:
                expanded.append(current)
            takes_more = True
        expanded.append(arg)
    return expanded


class SectionedOption(click.Option):
    """An option that knows the heading that it stands under, and which engines it is for."""

    def __init__(self, *args: Any, section: str, engines: Collection[str] = (), **attributes: Any) -> None:
        super().__init__(*args, **attributes)
        self.section = section
        self.engines = engines


class OptionsCommand(click.Command):
    """A command whose `multiple` options also take their values in a row, and whose help has headings."""

    def parse_args(self, ctx: click.Context, args: list[str]) -> list[str]:
        options = {
            dashed(name)
            for param in self.params
            if isinstance(param, click.Option) and param.multiple
            for name in param.opts
        }
        return super().parse_args(ctx, repeat_option(args, options))

    def format_options(self, ctx: click.Context, formatter: click.HelpFormatter) -> None:
        sections: dict[str, list[tuple[str, str]]] = {}
        for param in self.get_params(ctx):
            record = param.get_help_record(ctx)
            if record is not None:
                sections.setdefault(getattr(param, "section", "Help"), []).append(record)
        for title, records in sections.items():
            with formatter.section(title):
                formatter.write_dl(records, col_max=_HELP_WIDTH)


class Section:
    """Declares the options of one heading: section("--seed", type=int), section.switch("--verbose")."""

    def __init__(self, title: str, *engines: str) -> None:
        self._attributes = {"section": title, "engines": engines}

    def __call__(self, *names: str, **attributes: Any) -> Callable[[_F], _F]:
        return click.option(*names, cls=SectionedOption, **self._attributes, **attributes)

    def switch(self, *names: str, help: str, default: bool | None = None) -> Callable[[_F], _F]:
        """True when it stands alone; takes `true` or `false` after it."""
        shown = default is not None
        return self(*names, type=bool, is_flag=False, flag_value=True, default=default, show_default=shown, help=help)


class AdapterParam(click.ParamType[Adapter]):
    """`name=path`, `name` alone (for engines that need no files), or vLLM's JSON object."""

    name = "NAME=PATH"

    def convert(self, value: Any, param: click.Parameter | None, ctx: click.Context | None) -> Adapter:
        text = str(value)
        if text.startswith("{"):
            return self._from_json(text, param, ctx)
        name, _, path = text.partition("=")
        if not name:
            self.fail(f"{text!r} has no name; the form is name=path", param, ctx)
        return Adapter(name, path)

    def _from_json(self, text: str, param: click.Parameter | None, ctx: click.Context | None) -> Adapter:
        try:
            fields = json.loads(text)
            return Adapter(fields["name"], fields.get("path", ""))
        except (ValueError, KeyError) as exc:
            self.fail(f"{text!r} is not an object with name and path: {exc}", param, ctx)


class JsonObjectParam(click.ParamType[dict[str, Any]]):
    """A JSON object."""

    name = "JSON"

    def convert(self, value: Any, param: click.Parameter | None, ctx: click.Context | None) -> dict[str, Any]:
        if isinstance(value, dict):
            return value
        try:
            found = json.loads(value)
        except ValueError as exc:
            self.fail(f"{value!r} is not JSON: {exc}", param, ctx)
        if not isinstance(found, dict):
            self.fail(f"{value!r} is not a JSON object", param, ctx)
        return found


class SizeParam(click.ParamType[int]):
    """Bytes: 536870912, 512M (1024²), 512m (1000²), 0.5G."""

    name = "SIZE"

    def convert(self, value: Any, param: click.Parameter | None, ctx: click.Context | None) -> int:
        if isinstance(value, int):
            return value
        found = re.fullmatch(r"(\d+(?:\.\d+)?)([kmgKMG]?)", value)
        if found is None:
            self.fail(f"{value!r} is not a size: bytes, or with K, M, G (1024) or k, m, g (1000) after it", param, ctx)
        return int(float(found[1]) * _UNITS[found[2]])
