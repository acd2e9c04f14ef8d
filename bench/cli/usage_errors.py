"""Turns errors of click into one line that names the option, the value and the remedy."""

from __future__ import annotations

from collections.abc import Sequence

import click

from bench.cli.config_file import config_of, is_from_file
from bench.cli.vllm_options import refusal_of
from streamgauge.nearest import nearest
from streamgauge.option_sections import dashed

_COMMANDS = ("compare", "report", "selftest")


def explain(error: click.ClickException, arguments: Sequence[str]) -> str:
    """The line for an error of the command line."""
    if isinstance(error, click.NoSuchOption):
        return _unknown(error.option_name, error.ctx)
    if isinstance(error, click.BadOptionUsage):
        return f"{error.option_name} " + ("takes no value" if "not take a value" in error.message else "needs a value")
    if isinstance(error, click.MissingParameter) and error.param is not None:
        return f"{(error.param.name or '').upper()} is missing; see --help"
    if isinstance(error, click.BadParameter) and error.param is not None:
        config = config_of(error.ctx)
        if config is not None and error.ctx is not None and is_from_file(error.ctx, str(error.param.name)):
            return f"--config {config.where(str(error.param.name))} {error.message}"
        return f"{_as_written(error.param, arguments)} {error.message}"
    if error.message.startswith("Got unexpected extra argument"):
        words = error.message.partition("(")[2].rstrip(")")
        near = nearest(words.partition(" ")[0], _COMMANDS)
        if near:
            return f"unknown command {words.partition(' ')[0]}; did you mean {near}?"
        return f"unexpected words {words!r}: options begin with --, and a command such as report must be the first word"
    return error.format_message().rstrip(".")


def _unknown(name: str, ctx: click.Context | None) -> str:
    option = dashed(name)
    if (instead := refusal_of(option)) is not None:
        return f"{option} of vllm bench serve is not supported: {instead}"
    known = [] if ctx is None else [opt for param in ctx.command.params for opt in (*param.opts, *param.secondary_opts)]
    near = nearest(option.lstrip("-"), [name.lstrip("-") for name in known if name.startswith("--")])
    return f"unknown option {name}; " + (f"did you mean --{near}?" if near else "--help lists all options")


def _as_written(param: click.Parameter, arguments: Sequence[str]) -> str:
    """The name of the option that was typed."""
    written = {dashed(argument.partition("=")[0]) for argument in arguments}
    return next((name for name in param.opts if name in written), param.opts[0] if param.opts else str(param.name))
