"""Options under headings: a click command whose help reads from top to bottom like a page."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any, TypeVar

import click

_TAKES_SEVERAL = "--goodput"

_Function = TypeVar("_Function", bound=Callable[..., Any])


class SectionedOption(click.Option):
    """An option that knows the heading it stands under."""

    def __init__(self, *args: Any, section: str, **attributes: Any) -> None:
        super().__init__(*args, **attributes)
        self.section = section


class SectionedCommand(click.Command):
    """Prints its options by section, in the order in which they were declared."""

    def parse_args(self, ctx: click.Context, args: list[str]) -> list[str]:
        return super().parse_args(ctx, _spread(args))

    def format_options(self, ctx: click.Context, formatter: click.HelpFormatter) -> None:
        sections: dict[str, list[tuple[str, str]]] = {}
        for param in self.get_params(ctx):
            if isinstance(param, click.Argument):
                continue  # the description tells what it is
            record = param.get_help_record(ctx)
            if record is not None:
                sections.setdefault(getattr(param, "section", "Help"), []).append(record)
        for title, records in sections.items():
            with formatter.section(title):
                formatter.write_dl(records, col_max=38)


def _spread(arguments: Sequence[str]) -> list[str]:
    """Words after the one that --goodput takes, as if it stood before each: `--goodput ttft:200 tpot:50`."""
    spread: list[str] = []
    follows = False
    for position, argument in enumerate(arguments):
        first = position > 0 and dashes(arguments[position - 1]) == _TAKES_SEVERAL
        if follows and not first and ":" in argument and not argument.startswith("-"):
            spread.append(_TAKES_SEVERAL)
        follows = dashes(argument.partition("=")[0]) == _TAKES_SEVERAL or (follows and not argument.startswith("-"))
        spread.append(argument)
    return spread


def section(title: str) -> Callable[..., Callable[[_Function], _Function]]:
    """An `option` decorator for one section: section("Load")("--seed", …)."""

    def option(*names: str, **attributes: Any) -> Callable[[_Function], _Function]:
        return click.option(*names, cls=SectionedOption, section=title, **attributes)

    return option


def dashes(name: str) -> str:
    """Underscores in an option's name are dashes."""
    return name.replace("_", "-")


CONTEXT = {
    "help_option_names": ["-h", "--help"],
    "token_normalize_func": dashes,
    "max_content_width": 112,
}
