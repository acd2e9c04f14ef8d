"""The engines' own options as options of the command line. Engines that describe the same option share it."""

from __future__ import annotations

from collections.abc import Callable, Collection, Mapping
from typing import Any, TypeVar

from mock_server.commands.arguments import Section
from mock_server.commands.engine_choice import NAMES, kind_of
from mock_server.commands.option_types import param_type
from mock_server.engine.options import CommonOptions, Option, Switch, described

_F = TypeVar("_F", bound=Callable[..., Any])


def engine_options() -> list[Callable[[_F], _F]]:
    """Engines without a model come first, so that their headings stand above those for real models."""
    options: dict[str, Option] = {}
    takers: dict[str, list[str]] = {}
    for engine in sorted(NAMES, key=lambda name: kind_of(name).runs_models):
        for option in described(kind_of(engine).options):
            if options.setdefault(option.name, option) != option:
                raise ValueError(f"engines describe the option {option.name} differently")
            takers.setdefault(option.name, []).append(engine)
    return [_click_option(option, takers[name]) for name, option in options.items()]


def _click_option(option: Option, engines: Collection[str]) -> Callable[[_F], _F]:
    section = Section(option.heading, *(engines if len(engines) < len(NAMES) else ()))
    names = [f"--{option.name.replace('_', '-')}", *option.aliases, option.name]
    if isinstance(option.values, Switch):
        return section.switch(*names, default=option.default, help=option.help)
    attributes: dict[str, Any] = {"type": param_type(option.values), "metavar": option.metavar, "help": option.help}
    if option.default is not None:
        attributes |= {"default": option.default, "show_default": True}
    return section(*names, **attributes)


def read_options(engine: str, values: Mapping[str, Any]) -> CommonOptions:
    """The engine's options, out of all options of the command line. Raises `EngineOptionError`."""
    kind = kind_of(engine)
    options: CommonOptions = kind.options(**{option.name: values[option.name] for option in described(kind.options)})
    return options
