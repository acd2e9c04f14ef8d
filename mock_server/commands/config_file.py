"""`--config FILE`: options in YAML. The command line overrides them, and they override the defaults."""

from __future__ import annotations

import json
import re
from collections.abc import Collection, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import click

from mock_server.commands.arguments import options_of, typed_options
from mock_server.commands.option_types import AdapterParam, JsonObjectParam
from mock_server.commands.wrong_use import WrongUseError
from mock_server.engine.wording import WordedError
from streamgauge.nearest import did_you_mean
from streamgauge.option_sections import dashed

_META = "streamgauge.config"
_NOT_IN_FILES = ("config", "help", "version")
_MOST_BYTES = 1024 * 1024
_NULL = "tag:yaml.org,2002:null"
_QUOTED = re.compile(r"'[^']{4,}'")
_RIVALS = (
    ("api_key", "api_key_file"),
    ("uds", "host"),
    ("uds", "port"),
    ("chat_template", "template_type"),
    ("engine", "infer_backend"),
)
"""An option on the command line also replaces its rivals in the file."""


@dataclass(frozen=True, slots=True)
class Entry:
    """A line of the file: its key as written, and the value for the option."""

    key: str
    line: int
    value: Any


def use_config(ctx: click.Context, param: click.Parameter, path: str | None) -> str | None:
    """The callback of `--config`, which must be eager. Raises `WrongUseError`."""
    if path is not None:
        entries = _Reader(path, ctx).entries()
        typed = typed_options(ctx)
        for rivals in _RIVALS:
            if typed & {*rivals}:
                entries = {name: entry for name, entry in entries.items() if name not in rivals}
        ctx.meta[_META] = path, entries
        ctx.default_map = {name: entry.value for name, entry in entries.items()}
    return path


def with_source(error: WordedError, ctx: click.Context) -> str:
    """The message, with the lines of the file that set the options it names."""
    path, entries = ctx.meta.get(_META, (None, {}))
    found = [
        f"{entry.key} is on line {entry.line}"
        for name, entry in entries.items()
        if name in error.settings and ctx.get_parameter_source(name) is click.core.ParameterSource.DEFAULT_MAP
    ]
    return f"{error} ({path}: {', '.join(found)})" if found else str(error)


class _Reader:
    """Reads one file for one command."""

    def __init__(self, path: str, ctx: click.Context) -> None:
        self._path = path
        self._ctx = ctx
        self._options = options_of(ctx.command)

    def entries(self) -> Mapping[str, Entry]:
        """By the name of the option's parameter. Raises `WrongUseError`."""
        import yaml

        try:
            root = yaml.compose(self._text(), Loader=yaml.SafeLoader)
        except yaml.YAMLError as error:
            raise self._not_yaml(error) from None
        except RecursionError:
            raise self._problem("is nested too deeply") from None
        if root is None or root.tag == _NULL:
            return {}
        if not isinstance(root, yaml.MappingNode):
            raise self._problem("must have one option a line, such as port: 8000")
        found: dict[str, Entry] = {}
        for key_node, node in root.value:
            line = key_node.start_mark.line + 1
            key, option = self._option(key_node.value, line)
            name = str(option.name)
            if name in found:
                raise self._problem(f"{key} and {found[name].key} on line {found[name].line} are the same option", line)
            found[name] = Entry(key, line, self._value(key, line, option, node))
        return found

    def _text(self) -> str:
        try:
            with Path(self._path).expanduser().open("rb") as file:
                data = file.read(_MOST_BYTES + 1)
            if len(data) > _MOST_BYTES:
                raise self._problem("must be smaller than 1 MB")
            return data.decode("utf-8-sig")
        except UnicodeDecodeError:
            raise self._problem("must be text in UTF-8") from None
        except (OSError, ValueError) as error:
            raise self._problem(f"cannot be read: {getattr(error, 'strerror', None) or error}") from None

    def _option(self, key: Any, line: int) -> tuple[str, click.Option]:
        if not isinstance(key, str):
            raise self._problem("a key must be the name of an option", line)
        name = dashed(key)
        option = self._options.get(name)
        if option is not None and name not in _NOT_IN_FILES:
            return key, option
        if name in _NOT_IN_FILES:
            raise self._problem(f"{key} is only for the command line", line)
        hint = did_you_mean(name.lstrip("-"), self._names()) or f" See {self._ctx.command_path} --help."
        raise self._problem(f"{key} is not an option.{hint}", line)

    def _names(self) -> Collection[str]:
        return [name for name in self._options if name not in _NOT_IN_FILES]

    def _value(self, key: str, line: int, option: click.Option, node: Any) -> Any:
        value = self._raw(key, line, option, node)
        try:
            option.type_cast_value(self._ctx, value)
        except click.BadParameter as error:
            raise self._problem(f"{key}: {error.message}", line) from None
        return value

    def _raw(self, key: str, line: int, option: click.Option, node: Any) -> Any:
        import yaml

        is_list = isinstance(node, yaml.SequenceNode)
        if not option.multiple:
            if is_list:
                raise self._problem(f"{key} takes one value, not a list", line)
            return self._one(key, line, option, node)
        return [self._one(key, line, option, item) for item in (node.value if is_list else [node])]

    def _one(self, key: str, line: int, option: click.Option, node: Any) -> Any:
        """A scalar as written, or a mapping if the option takes a JSON object."""
        import yaml

        if isinstance(node, yaml.MappingNode) and isinstance(option.type, (JsonObjectParam, AdapterParam)):
            return self._json(key, line, node)
        if not isinstance(node, yaml.ScalarNode):
            what = "mapping" if isinstance(node, yaml.MappingNode) else "list"
            raise self._problem(f"{key} must not contain a {what}: options are not nested", line)
        if node.tag == _NULL:
            raise self._problem(f"{key} has no value: give it one, or remove the line", line)
        return node.value

    def _json(self, key: str, line: int, node: Any) -> Any:
        import yaml

        try:
            content = yaml.SafeLoader("").construct_document(node)
            json.dumps(content, allow_nan=False)
        except (yaml.YAMLError, ValueError, TypeError, RecursionError) as error:
            raise self._problem(f"{key} must be a valid JSON object: {_one_line(error)}", line) from None
        return content

    def _not_yaml(self, error: Exception) -> WrongUseError:
        mark = getattr(error, "problem_mark", None)
        return self._problem(f"is not YAML: {_one_line(error)}", None if mark is None else mark.line + 1)

    def _problem(self, what: str, line: int | None = None) -> WrongUseError:
        where = f"--config {self._path}" if line is None else f"--config {self._path}, line {line}:"
        return WrongUseError(f"{where} {what}")


def _one_line(error: Exception) -> str:
    """The parser's message without its quotes from the file, which may contain a key."""
    return _QUOTED.sub("…", " ".join(str(getattr(error, "problem", None) or error).split()))
