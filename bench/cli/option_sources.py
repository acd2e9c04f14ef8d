"""Options from the command line and from a configuration file: which one applies, and which one an error names."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import click

from bench.cli.config_file import config_of, is_from_file
from bench.load.settings import UsageError
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


def with_source(error: UsageError, ctx: click.Context) -> str:
    """The error's message, and where the file sets an option that it is about."""
    config = config_of(ctx)
    if config is None:
        return str(error)
    entries = [name for name in error.options if name in config.entries and is_from_file(ctx, name)]
    return str(error) + "".join(f" ({config.where(name)})" for name in entries)
