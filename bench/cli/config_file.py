"""`--config FILE`: options in YAML. They become the defaults of the command line, which overrides them."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import click

from bench.cli.program import program_name
from bench.cli.vllm_options import refusal_of
from bench.headers import HIDDEN, hide_value
from streamgauge.nearest import nearest
from streamgauge.option_sections import dashed

Value = str | bool | list[str] | dict[str, Any]

_META = "streamgauge.config"
_NOT_IN_FILES = ("config", "help", "version")
_LONGEST_BYTES = 1024 * 1024
_TRUE, _FALSE = ("true", "yes", "on"), ("false", "no", "off")


class ConfigError(click.ClickException):
    """A configuration file that cannot be used. The message names the file, the line, the key and the remedy."""


@dataclass(frozen=True, slots=True)
class Entry:
    """One line of the file: the key as written, and the value for the option."""

    key: str
    line: int
    value: Value

    def shown(self) -> Value:
        """The value without secrets, as a result may contain it."""
        if dashed(self.key) == "api-key":
            return HIDDEN
        if dashed(self.key) == "header" and isinstance(self.value, list):
            return [hide_value(text) for text in self.value]
        if dashed(self.key) == "server-args" and isinstance(self.value, str):
            from bench.cli.rerun_command import hide_server_keys

            return hide_server_keys(self.value)
        return self.value


@dataclass(frozen=True, slots=True)
class ConfigFile:
    """The content of a file; `entries` are by the name of the option's parameter."""

    path: Path
    entries: Mapping[str, Entry]

    def where(self, parameter: str) -> str:
        """The place in the file that sets the parameter."""
        entry = self.entries[parameter]
        return f"{self.path}, line {entry.line}: {entry.key}"


def use_config(ctx: click.Context, param: click.Parameter, path: Path | None) -> Path | None:
    """The callback of `--config`, which has to be eager. Raises ConfigError."""
    if path is not None:
        config = ConfigFile(path, _Reader(path, ctx.command).entries())
        ctx.meta[_META] = config
        ctx.default_map = {name: entry.value for name, entry in config.entries.items()}
    return path


def config_of(ctx: click.Context | None) -> ConfigFile | None:
    """The configuration file of the command, if it has one."""
    return None if ctx is None else ctx.meta.get(_META)


def is_from_file(ctx: click.Context, parameter: str) -> bool:
    """Whether the value of a parameter is from the file."""
    return ctx.get_parameter_source(parameter) is click.core.ParameterSource.DEFAULT_MAP


class _Reader:
    """Reads one file for one command."""

    def __init__(self, path: Path, command: click.Command) -> None:
        self._path = path
        options = [param for param in command.params if isinstance(param, click.Option) and param.name]
        self._options = {
            name.removeprefix("--"): option
            for option in options
            for name in (*option.opts, *option.secondary_opts)
            if name.startswith("--")
        }

    def entries(self) -> dict[str, Entry]:
        """What the file sets, by parameter. Raises ConfigError."""
        import yaml

        found: dict[str, Entry] = {}
        try:
            root = yaml.compose(self._text(), Loader=yaml.SafeLoader)
        except yaml.YAMLError as error:
            raise self._not_yaml(error) from None
        except RecursionError:
            raise self._wrong("nested too deeply") from None
        if root is None or root.tag == "tag:yaml.org,2002:null":
            return found
        if not isinstance(root, yaml.MappingNode):
            raise self._wrong("must contain one option per line, such as concurrency: 64")
        for key_node, node in root.value:
            key, line = self._key(key_node), key_node.start_mark.line + 1
            option = self._option(key, line)
            name = str(option.name)
            if name in found:
                raise self._wrong(f"{key} and {found[name].key} (line {found[name].line}) set the same option", line)
            found[name] = Entry(key, line, self._value(key, line, option, node))
        return found

    def _text(self) -> str:
        try:
            with self._path.open("rb") as file:
                data = file.read(_LONGEST_BYTES + 1)
            if len(data) > _LONGEST_BYTES:
                raise self._wrong("is larger than 1 MB, too large for a file of options")
            return data.decode("utf-8-sig")
        except UnicodeDecodeError as error:
            raise self._wrong(f"is not UTF-8 text (byte {error.start})") from None
        except (OSError, ValueError) as error:
            raise self._wrong(f"cannot be read ({getattr(error, 'strerror', None) or error})") from None

    def _key(self, node: Any) -> str:
        if not isinstance(node.value, str):
            raise self._wrong("each key must be the name of an option", node.start_mark.line + 1)
        return node.value

    def _option(self, key: str, line: int) -> click.Option:
        name = dashed(key)
        if name in self._options and name not in _NOT_IN_FILES:
            return self._options[name]
        if name in _NOT_IN_FILES:
            raise self._wrong(f"{key} is only valid on the command line", line)
        if instead := refusal_of(f"--{name}"):
            raise self._wrong(f"{key} of vllm bench serve is not supported: {instead}", line)
        near = nearest(name.lstrip("-"), [name for name in self._options if name not in _NOT_IN_FILES])
        hint = f"did you mean {near}?" if near else f"keys are the long options of {program_name()} --help"
        raise self._wrong(f"unknown option {key}; {hint}", line)

    def _value(self, key: str, line: int, option: click.Option, node: Any) -> Value:
        import yaml

        if option.is_flag or option.secondary_opts:
            return self._switch(key, line, option, node)
        if isinstance(node, yaml.MappingNode) and option.metavar == "JSON":
            return self._json(key, line, node)
        if option.multiple:
            return self._several(key, line, node)
        if isinstance(node, yaml.SequenceNode) and option.metavar == "LIST":
            return ",".join(self._text_of(key, line, item) for item in node.value)
        return self._text_of(key, line, node)

    def _switch(self, key: str, line: int, option: click.Option, node: Any) -> bool:
        word = str(node.value).lower()
        if not isinstance(node.value, str) or word not in (*_TRUE, *_FALSE):
            got = f" (got {node.value!r})" if isinstance(node.value, str) else ""
            raise self._wrong(f"{key} must be true or false{got}", line)
        return (word in _TRUE) != (f"--{dashed(key)}" in option.secondary_opts)

    def _several(self, key: str, line: int, node: Any) -> list[str]:
        """The values of an option that accepts several: a list, `name: value` pairs, or a list of those."""
        import yaml

        if isinstance(node, yaml.SequenceNode):
            return [word for item in node.value for word in self._several(key, line, item)]
        if isinstance(node, yaml.MappingNode):
            return [f"{self._text_of(key, line, name)}:{self._text_of(key, line, item)}" for name, item in node.value]
        return [self._text_of(key, line, node)]

    def _text_of(self, key: str, line: int, node: Any) -> str:
        """A scalar as written: 08 is not an octal number here, and `no` is a word."""
        if not isinstance(node.value, str):
            raise self._wrong(f"{key} must have one value, not a list or a mapping", line)
        if node.tag == "tag:yaml.org,2002:null":
            raise self._wrong(f"{key} has no value; give it one, or delete the line", line)
        return node.value

    def _json(self, key: str, line: int, node: Any) -> dict[str, Any]:
        import yaml

        loader = yaml.SafeLoader("")
        try:
            content: dict[str, Any] = loader.construct_document(node)
            fits = _fits_json(content)
        except (yaml.YAMLError, RecursionError, ValueError) as error:
            raise self._wrong(f"{key} must be an object that JSON can represent ({_one_line(error)})", line) from None
        if not fits:
            raise self._wrong(
                f"{key} must be an object that JSON can represent; quote dates and names that are numbers", line
            )
        return content

    def _not_yaml(self, error: Exception) -> ConfigError:
        mark = getattr(error, "problem_mark", None)
        return self._wrong(f"is not YAML: {_one_line(error)}", None if mark is None else mark.line + 1)

    def _wrong(self, what: str, line: int | None = None) -> ConfigError:
        where = f", line {line}:" if line is not None else ""
        return ConfigError(f"--config {self._path}{where} {what}")


def _one_line(error: Exception) -> str:
    return " ".join(str(getattr(error, "problem", None) or error).split())


def _fits_json(content: Any) -> bool:
    if isinstance(content, dict):
        return all(isinstance(name, str) and _fits_json(item) for name, item in content.items())
    if isinstance(content, Sequence) and not isinstance(content, str | bytes):
        return all(map(_fits_json, content))
    if isinstance(content, float):
        return math.isfinite(content)
    return content is None or isinstance(content, str | int)
