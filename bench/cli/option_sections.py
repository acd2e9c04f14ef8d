"""Commands of the bench: their help reads from top to bottom like a page, with options under headings."""

from __future__ import annotations

import shutil
from collections.abc import Callable
from typing import Any, TypeVar

import click

from bench.cli.program import program_name
from bench.cli.values import text
from streamgauge.option_sections import SectionedOption, repeat_options, write_sections
from streamgauge.version import version_line

SEVERAL_VALUES = {"--goodput": ":", "--header": "=:"}
"""Options that take several values, and the characters that tell each further value from an argument."""

_Function = TypeVar("_Function", bound=Callable[..., Any])


class SectionedCommand(click.Command):
    """Prints its options by section, in the order in which they were declared."""

    def parse_args(self, ctx: click.Context, args: list[str]) -> list[str]:
        return super().parse_args(ctx, repeat_options(args, SEVERAL_VALUES))

    def get_help(self, ctx: click.Context) -> str:
        # click itself never writes less than 50 columns
        ctx.terminal_width = max(30, min(shutil.get_terminal_size().columns, ctx.max_content_width or 80) - 1)
        return super().get_help(ctx)

    def format_epilog(self, ctx: click.Context, formatter: click.HelpFormatter) -> None:
        if self.epilog:
            formatter.write_paragraph()
            formatter.write_text(self.epilog.replace("PROGRAM", program_name()))

    def format_options(self, ctx: click.Context, formatter: click.HelpFormatter) -> None:
        write_sections(self, ctx, formatter, name_width=min(38, formatter.width // 2))


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
