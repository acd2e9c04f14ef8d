"""Options from the command line and from a configuration file: which one applies, and which one an error names."""

from __future__ import annotations

import re
from collections.abc import Mapping
from typing import Any

import click

from bench.cli.config_file import config_of, is_from_file
from bench.records.run import ConfigFacts
from streamgauge.option_sections import dashed

_ADDRESS = ("base_url", "host", "port")
_EMBEDDED = ("engine", "server_profile", "server_args", "model_type", "model_id_or_path", "ckpt_dir")
# Options that exclude each other: a typed option replaces those of the file, also under other names.
_RIVALS = (
    (("base_url",), ("host", "port")),
    (_ADDRESS, _EMBEDDED),
    (("api_key",), ("api_key_file",)),
    (("backend",), ("endpoint",)),
    (("prompts",), ("input_len", "dataset_name")),
)
_OPTION = re.compile(r"--[a-z][a-z-]+")


def settle(ctx: click.Context, options: Mapping[str, Any]) -> tuple[dict[str, Any], ConfigFacts | None]:
    """The options without those of the file that typed ones replace, and the facts about the file."""
    settled = dict(options)
    config = config_of(ctx)
    if config is None:
        return settled, None
    typed = {name for name in options if ctx.get_parameter_source(name) is click.core.ParameterSource.COMMANDLINE}
    for one, other in (pair for both in _RIVALS for pair in (both, both[::-1])):
        if typed & set(one):
            settled |= {name: None for name in other if is_from_file(ctx, name)}
    used = {dashed(entry.key): entry.shown() for name, entry in config.entries.items() if is_from_file(ctx, name)}
    return settled, ConfigFacts(file=str(config.path), options=used)


def with_source(message: str, ctx: click.Context) -> str:
    """The message, followed by the line of the file that sets an option named in it."""
    config = config_of(ctx)
    if config is None:
        return message
    parameters = {name: param.name or "" for param in ctx.command.params for name in param.opts}
    named = [parameters.get(name, "") for name in _OPTION.findall(message)]
    lines = [config.where(name) for name in dict.fromkeys(named) if name in config.entries and is_from_file(ctx, name)]
    return message + "".join(f" ({line})" for line in lines)
