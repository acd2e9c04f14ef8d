"""Subcommands of the command line, one module each."""

import click

from .arguments import CONTEXT
from .deploy import deploy

_DEFAULT = "deploy"


class DefaultGroup(click.Group):
    """Arguments that begin with an option go to `deploy`."""

    def parse_args(self, ctx: click.Context, args: list[str]) -> list[str]:
        if not args or (args[0].startswith("-") and args[0] not in ctx.help_option_names):
            args = [_DEFAULT, *args]
        return super().parse_args(ctx, args)


@click.group(
    cls=DefaultGroup,
    context_settings=CONTEXT,
    epilog=f"Without a command, options go to {_DEFAULT}: see '{_DEFAULT} --help'.",
)
def cli() -> None:
    """Serve language models under OpenAI's API."""


cli.add_command(deploy)
