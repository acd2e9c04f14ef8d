"""Options of engines, described without any command line: `commands` turns them into its own options.

An engine's options type is a dataclass whose fields come from `option`. Each field has the name, the
values, the default and the help of an option in one place.
"""

from __future__ import annotations

import dataclasses
import inspect
from dataclasses import dataclass
from typing import Any, TypeVar

from mock_server.engine.ranges import SEEDS, Range, Whole

MODEL = "Model"
ANSWERS = "Defaults for answers"
ADAPTERS = "Adapters"
ENGINE = "Engine"
"""Headings under which engines' options stand beside the server's. An engine may add its own."""

_KEY = "streamgauge.option"


@dataclass(frozen=True, slots=True)
class Text:
    """A string that is not empty."""


@dataclass(frozen=True, slots=True)
class Switch:
    """True or false."""


@dataclass(frozen=True, slots=True)
class Size:
    """A number of bytes."""


@dataclass(frozen=True, slots=True)
class JsonObject:
    """An object with string keys."""


@dataclass(frozen=True, slots=True)
class OneOf:
    """One of several words."""

    words: tuple[str, ...]


Values = Text | Switch | Range | Size | JsonObject | OneOf
"""What an option takes."""

TEXT = Text()
SWITCH = Switch()
POSITIVE = Whole(1)
SIZE = Size()
JSON_OBJECT = JsonObject()


@dataclass(frozen=True, slots=True)
class Option:
    """One option of an engine. `name` is its Python name, `aliases` are further spellings with their dashes."""

    name: str
    values: Values
    heading: str
    help: str
    metavar: str | None = None
    default: Any = None
    aliases: tuple[str, ...] = ()


def option(
    values: Values,
    heading: str,
    help: str,
    *,
    metavar: str | None = None,
    default: Any = None,
    aliases: tuple[str, ...] = (),
) -> Any:
    """A field of an options type. A default of None means that nothing was given."""
    described = {"values": values, "heading": heading, "help": help, "metavar": metavar, "aliases": aliases}
    return dataclasses.field(default=default, metadata={_KEY: described})


@dataclass(frozen=True, kw_only=True)
class CommonOptions:
    """The options of every engine, and the base of every options type."""

    seed: int | None = option(SEEDS, ANSWERS, "Seed for requests without one. [default: 0]")
    max_model_len: int | None = option(Whole(2), ENGINE, "Context length in tokens, including the answer.")
    max_num_seqs: int | None = option(POSITIVE, ENGINE, "Maximum number of sequences that run concurrently.")
    max_num_batched_tokens: int | None = option(POSITIVE, ENGINE, "Maximum number of tokens computed in one step.")


AnyOptions = TypeVar("AnyOptions", bound=CommonOptions)


def described(kind: type[CommonOptions]) -> list[Option]:
    """The options of a type, in the order of its fields."""
    return [
        Option(name=field.name, default=field.default, **field.metadata[_KEY]) for field in dataclasses.fields(kind)
    ]


def own_names(kind: type[CommonOptions]) -> tuple[str, ...]:
    """The options that a type adds to those of its bases."""
    return tuple(inspect.get_annotations(kind))
