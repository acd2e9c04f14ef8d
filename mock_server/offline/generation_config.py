"""How an engine generates, under the names of transformers' `GenerationConfig`."""

from __future__ import annotations

import dataclasses
import math
import numbers
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from mock_server.engine.base import SAMPLING, GenerationParams
from mock_server.engine.ranges import SEEDS, Number, Range, Whole
from streamgauge.nearest import did_you_mean

_ALIASES = {"max_tokens": "max_new_tokens", "min_tokens": "min_new_tokens", "num_return_sequences": "n"}
_RANGES: Mapping[str, Range] = {
    **SAMPLING,
    "temperature": Number(0),  # transformers has no upper limit
    "max_new_tokens": Whole(1),
    "min_new_tokens": Whole(0),
    "n": Whole(1),
    "logprobs": Whole(0),
    "seed": SEEDS,
}
_MAY_BE_NONE = frozenset({"logprobs", "seed"})
_SWITCHES = frozenset({"do_sample", "ignore_eos"})
_REFUSED = {
    "max_length": "it would include the prompt; set max_new_tokens instead",
    "min_length": "it would include the prompt; set min_new_tokens instead",
    "num_beams": "beam search is not supported; sample, or set do_sample = False",
    "skip_special_tokens": "special tokens are never part of a response",
}


@dataclass(kw_only=True)
class GenerationConfig:
    """Values may be set at any time. A call reads them once, when it begins. Setting an invalid value raises
    `ValueError`, and setting an unknown name `AttributeError`.
    """

    max_new_tokens: int = 64
    min_new_tokens: int = 0
    do_sample: bool = True
    """False: always take the likeliest token, whatever else is set."""
    temperature: float = 1.0
    top_k: int = 50
    """0 or -1: all tokens."""
    top_p: float = 1.0
    min_p: float = 0.0
    repetition_penalty: float = 1.0
    presence_penalty: float = 0.0
    frequency_penalty: float = 0.0
    n: int = 1
    seed: int | None = None
    stop: Sequence[str] = ()
    stop_token_ids: Sequence[int] = ()
    ignore_eos: bool = False
    logprobs: int | None = None
    """Give log probabilities of each generated token and of this many likeliest ones; 0: of the token alone."""

    if not TYPE_CHECKING:  # type checkers that see it accept every name

        def __setattr__(self, name: str, value: Any) -> None:
            name = _ALIASES.get(name, name)
            if name in _REFUSED:
                raise ValueError(f"generation_config.{name} cannot be set: {_REFUSED[name]}")
            names = [field.name for field in dataclasses.fields(self)]
            if name not in names:
                raise AttributeError(f"generation_config has no {name!r}.{did_you_mean(name, [*names, *_ALIASES])}")
            object.__setattr__(self, name, _checked(name, value))

    @property
    def max_tokens(self) -> int:
        return self.max_new_tokens

    @classmethod
    def of_model(cls, defaults: Mapping[str, Any]) -> GenerationConfig:
        """A config with the defaults of a model's generation_config.json, under vLLM's names."""
        config = cls()
        names = {field.name for field in dataclasses.fields(cls)} | set(_ALIASES)
        for name in names & set(defaults):
            setattr(config, name, defaults[name])
        return config

    def params(self, room: int, *, whole: bool) -> GenerationParams:
        """For a prompt that leaves `room` for tokens. `whole`: the caller needs nothing before the end."""
        granted = min(self.max_new_tokens, room)
        sampling = {name: getattr(self, name) for name in SAMPLING} | {"top_k": max(self.top_k, 0)}
        if not self.do_sample:
            sampling["temperature"] = 0.0
        return GenerationParams(
            max_tokens=granted,
            min_tokens=min(self.min_new_tokens, granted),
            n=self.n,
            **sampling,
            seed=self.seed,
            stop_token_ids=frozenset(self.stop_token_ids),
            ignore_eos=self.ignore_eos,
            logprobs=self.logprobs,
            final_only=whole and not self.stop,
        )


def _checked(name: str, value: Any) -> Any:
    if name in _RANGES:
        return None if value is None and name in _MAY_BE_NONE else _number(name, value)
    if name in _SWITCHES:
        if not isinstance(value, bool):
            raise ValueError(f"generation_config.{name} must be True or False (got {value!r})")
        return value
    if name == "stop":
        return _stop_strings(value)
    return _token_ids(name, value)


def _number(name: str, value: Any) -> int | float:
    """Converts numbers of numpy to Python's own: engines accept no others."""
    within = _RANGES[name]
    is_number = not isinstance(value, bool) and isinstance(value, numbers.Real) and math.isfinite(value)
    if not is_number or not within.holds(value):
        raise ValueError(f"generation_config.{name} must be {within} (got {value!r})")
    return int(value) if isinstance(within, Whole) else float(value)


def _stop_strings(value: Any) -> tuple[str, ...]:
    strings = (value,) if isinstance(value, str) else _items(value)
    if strings is None or not all(isinstance(string, str) and string for string in strings):
        raise ValueError(f"generation_config.stop must be non-empty strings (got {value!r})")
    return strings


def _token_ids(name: str, value: Any) -> tuple[int, ...]:
    ids = _items(value)
    if ids is None or not all(isinstance(one, numbers.Integral) and int(one) >= 0 for one in ids):
        raise ValueError(f"generation_config.{name} must be a list of token ids (got {value!r})")
    return tuple(int(one) for one in ids)


def _items(value: Any) -> tuple[Any, ...] | None:
    """The items of a list; None if it is not one. None has no items."""
    if value is None:
        return ()
    return tuple(value) if isinstance(value, Iterable) else None
