"""Options under headings: a click command whose help reads from top to bottom like a page."""

from __future__ import annotations

import shutil
from collections.abc import Callable, Sequence
from typing import Any, TypeVar

import click

from bench.cli.program import program_name
from bench.cli.values import text
from streamgauge.version import version_line

# Options that take several words, and what each of those words has in it.
_TAKES_SEVERAL = {"--goodput": ":", "--header": "=:"}

_Function = TypeVar("_Function", bound=Callable[..., Any])


class SectionedOption(click.Option):
    """An option that knows the heading it stands under."""

    def __init__(self, *args: Any, section: str, **attributes: Any) -> None:
        super().__init__(*args, **attributes)
        self.section = section


class SectionedCommand(click.Command):
    """Prints its options by section, in the order in which they were declared."""

    def parse_args(self, ctx: click.Context, args: list[str]) -> list[str]:
        return super().parse_args(ctx, spread(args))

    def get_help(self, ctx: click.Context) -> str:
        # click itself never writes less than 50 columns
        ctx.terminal_width = max(30, min(shutil.get_terminal_size().columns, ctx.max_content_width or 80) - 1)
        return super().get_help(ctx)

    def format_epilog(self, ctx: click.Context, formatter: click.HelpFormatter) -> None:
        if self.epilog:
            formatter.write_paragraph()
            formatter.write_text(self.epilog.replace("PROGRAM", program_name()))

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
                formatter.write_dl(records, col_max=min(38, formatter.width // 2))


def spread(arguments: Sequence[str]) -> list[str]:
    """Further words after an option that takes several, as if it stood before each: `--goodput ttft:200 tpot:50`."""
    spread: list[str] = []
    option, has_value = "", False  # the option under way, and whether its first value was there
    for argument in arguments:
        if option and has_value and not argument.startswith("-") and set(argument) & set(_TAKES_SEVERAL[option]):
            spread.append(option)
        elif option and not has_value:
            has_value = True
        else:
            name, equals, _ = argument.partition("=")
            option = dashes(name) if dashes(name) in _TAKES_SEVERAL else ""
            has_value = bool(equals)
        spread.append(argument)
    return spread


def section(title: str) -> Callable[..., Callable[[_Function], _Function]]:
    """An `option` decorator for one section: section("Load")("--seed", …)."""

    def option(*names: str, **attributes: Any) -> Callable[[_Function], _Function]:
        takes_a_word = not attributes.get("is_flag") and not attributes.get("multiple") and "/" not in names[0]
        if takes_a_word:
            attributes.setdefault("type", text)
        return click.option(*names, cls=SectionedOption, section=title, **attributes)

    return option


def _show_version(ctx: click.Context, param: click.Parameter, wanted: bool) -> None:
    if wanted:
        click.echo(version_line())
        ctx.exit()


version_option = click.option(
    "--version", is_flag=True, is_eager=True, expose_value=False, callback=_show_version, help="Show the version."
)


def dashes(name: str) -> str:
    """Underscores in an option's name are dashes."""
    return name.replace("_", "-")


CONTEXT = {
    "help_option_names": ["-h", "--help"],
    "token_normalize_func": dashes,
    "max_content_width": 112,
}
