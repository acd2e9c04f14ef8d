"""Subcommands of the command line, one module each. A module is imported when its command is used."""

from __future__ import annotations

import logging
import sys
from collections.abc import Sequence
from importlib import import_module
from typing import Any

import click

from mock_server.logs.output import json_line, logs_json
from streamgauge.nearest import did_you_mean
from streamgauge.option_sections import CONTEXT, dashed
from streamgauge.version import version_line

_DEFAULT = "deploy"
COMMANDS = {
    "deploy": ("mock_server.commands.deploy:deploy", "Serve a model over OpenAI's API."),
    "infer": ("mock_server.commands.infer:infer", "Chat with a model in the terminal, or evaluate it on a dataset."),
    "app-ui": ("mock_server.commands.app_ui:app_ui", "Chat with a model in the browser."),
    "sft": ("mock_server.commands.sft:sft", "Fine-tune a model with LoRA."),
    "export": ("mock_server.commands.export:export", "Merge an adapter into its model, or quantize a model."),
}
"""Where each command is, and what it is for."""


class LazyGroup(click.Group):
    """Arguments that begin with an option go to `deploy`. Errors are lines of the log where that is JSON."""

    def list_commands(self, ctx: click.Context) -> list[str]:
        return list(COMMANDS)

    def get_command(self, ctx: click.Context, cmd_name: str) -> click.Command | None:
        if cmd_name not in COMMANDS:
            return None
        module, _, attribute = COMMANDS[cmd_name][0].partition(":")
        command: click.Command = getattr(import_module(module), attribute)
        return command

    def resolve_command(
        self, ctx: click.Context, args: list[str]
    ) -> tuple[str | None, click.Command | None, list[str]]:
        if dashed(args[0]) not in COMMANDS:
            ctx.fail(f"No such command {args[0]!r}.{did_you_mean(dashed(args[0]), COMMANDS)}")
        return super().resolve_command(ctx, args)

    def format_commands(self, ctx: click.Context, formatter: click.HelpFormatter) -> None:
        with formatter.section("Commands"):
            formatter.write_dl([(name, summary) for name, (_, summary) in COMMANDS.items()])

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
    cls=LazyGroup,
    context_settings=CONTEXT,
    epilog=f"Without a command, options go to {_DEFAULT}: see '{_DEFAULT} --help'.",
)
@click.version_option(message=version_line(), version="")
def cli() -> None:
    """Serve, chat with, fine-tune and export language models."""
