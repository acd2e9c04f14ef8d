"""Subcommands of the command line, one module each."""

from __future__ import annotations

import logging
import sys
from collections.abc import Sequence
from typing import Any

import click

from mock_server.commands.deploy import deploy
from mock_server.logs.output import json_line, logs_json
from streamgauge.option_sections import CONTEXT, dashed
from streamgauge.version import version_line

_DEFAULT = "deploy"


class DefaultGroup(click.Group):
    """Arguments that begin with an option go to `deploy`. Errors are lines of the log where that is JSON."""

    def parse_args(self, ctx: click.Context, args: list[str]) -> list[str]:
        own = [*ctx.help_option_names, "--version"]
        if not args or (args[0].startswith("-") and args[0] not in own):
            args = [_DEFAULT, *args]
        return super().parse_args(ctx, args)

    def main(  # type: ignore[override]
        self, args: Sequence[str] | None = None, prog_name: str | None = None, **extra: Any
    ) -> Any:
        words = list(sys.argv[1:] if args is None else args)
        if not extra.pop("standalone_mode", True):
            return super().main(words, prog_name, standalone_mode=False, **extra)
        try:
            code = super().main(words, prog_name, standalone_mode=False, **extra)
        except click.ClickException as error:
            if logs_json() or _asks_for_json(words):
                click.echo(json_line(logging.ERROR, error.format_message()), err=True)
            else:
                error.show()
            sys.exit(error.exit_code)
        except click.Abort:
            sys.exit(1)
        sys.exit(code if isinstance(code, int) else 0)


def _asks_for_json(words: Sequence[str]) -> bool:
    """Of a command line that cannot be read otherwise."""
    split = [word.partition("=")[::2] for word in words]
    following = [*words[1:], ""]
    return any(
        dashed(name) == "--log-format" and "json" in (value, after)
        for (name, value), after in zip(split, following, strict=True)
    )


@click.group(
    cls=DefaultGroup,
    context_settings=CONTEXT,
    epilog=f"Without a command, options go to {_DEFAULT}: see '{_DEFAULT} --help'.",
)
@click.version_option(message=version_line(), version="")
def cli() -> None:
    """Serve language models over OpenAI's API."""


cli.add_command(deploy)
