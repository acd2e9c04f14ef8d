"""The forms that options are given in: `-` and `_` alike, several values after one option, `--flag true`."""

from __future__ import annotations

from collections.abc import Callable, Collection
from typing import Any, TypeVar

import click

from mock_server.commands.option_types import TEXT, SwitchParam
from streamgauge.option_sections import SectionedOption, dashed, repeat_options, write_sections

_F = TypeVar("_F", bound=Callable[..., Any])
_NAME_WIDTH = 34
_TYPED = "streamgauge.typed"


def options_of(command: click.Command) -> dict[str, click.Option]:
    """A command's options by their long names, without the dashes before them."""
    return {
        dashed(name).removeprefix("--"): param
        for param in command.params
        if isinstance(param, click.Option)
        for name in param.opts
        if name.startswith("--")
    }


def typed_options(ctx: click.Context) -> set[str]:
    """The parameters of the options that stand on the command line; known before any of them is read."""
    typed: set[str] = ctx.meta.get(_TYPED, set())
    return typed


class EngineOption(SectionedOption):
    """An option that also knows which engines it is for."""

    def __init__(self, *args: Any, engines: Collection[str] = (), **attributes: Any) -> None:
        super().__init__(*args, **attributes)
        self.engines = engines


class OptionsCommand(click.Command):
    """A command whose `multiple` options also take their values in a row, and whose help has headings."""

    def parse_args(self, ctx: click.Context, args: list[str]) -> list[str]:
        options = options_of(self)
        words = [dashed(arg.split("=")[0]).removeprefix("--") for arg in args if arg.startswith("--")]
        ctx.meta[_TYPED] = {options[word].name for word in words if word in options}
        several = {f"--{name}": None for name, option in options.items() if option.multiple}
        return super().parse_args(ctx, repeat_options(args, several))

    def format_options(self, ctx: click.Context, formatter: click.HelpFormatter) -> None:
        write_sections(self, ctx, formatter, name_width=_NAME_WIDTH)


class Section:
    """Declares the options of one heading: section("--seed", type=int), section.switch("--verbose")."""

    def __init__(self, title: str, *engines: str) -> None:
        self._attributes = {"section": title, "engines": engines}

    def __call__(self, *names: str, **attributes: Any) -> Callable[[_F], _F]:
        given = {"type": TEXT, **self._attributes, **attributes}
        return click.option(*names, cls=EngineOption, **given)

    def switch(self, *names: str, help: str, default: bool | None = None) -> Callable[[_F], _F]:
        """True when it stands alone; takes `true` or `false` after it."""
        shown = "" if default is None else f" [default: {str(default).lower()}]"
        how: dict[str, Any] = {"type": SwitchParam(), "is_flag": False, "flag_value": True, "metavar": "[true|false]"}
        return self(*names, default=default, help=help + shown, **how)
