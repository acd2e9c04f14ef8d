"""Reads values from the command line. An error says what the value must be, and what it was."""

from __future__ import annotations

from collections.abc import Callable
from math import inf
from pathlib import Path
from typing import Any

import msgspec
from click import BadParameter, Context, Parameter

from bench.figures.catalogue import LATENCIES, canonical_name
from bench.figures.slo import parse_goodput
from bench.headers import Header, parse_headers
from bench.units import parse_duration_s

ROWS = tuple(LATENCIES)

MOST = 2**31 - 1  # the number of a request has 32 bits
_LEAST_RATE, _MOST_RATE = 0.001, 1_000_000
_LONGEST_S = 30 * 24 * 3600.0


def text(value: Any) -> str:
    """Text that is not empty: an unset shell variable is not a name."""
    if not str(value).strip():
        raise BadParameter(f"must not be empty (got {value!r})")
    return str(value)


def path(value: Any) -> Path:
    """A path."""
    return Path(text(value))


def count(least: int = 1, most: int = MOST) -> Callable[[Any], int]:
    """A reader of whole numbers from `least` to `most`."""

    def read(value: Any) -> int:
        try:
            number = int(value)
        except ValueError:
            raise BadParameter(f"must be a whole number (got {value!r})") from None
        if number < least:
            raise BadParameter(f"must be at least {least} (got {number})")
        if number > most:
            raise BadParameter(f"must be at most {most} (got {number})")
        return number

    return read


def number(least: float, most: float | None = None) -> Callable[[Any], float]:
    """A reader of finite numbers from `least` to `most`, if there is a `most`."""
    bounds = f"at least {least:g}" if most is None else f"from {least:g} to {most:g}"

    def read(value: Any) -> float:
        try:
            found = float(value)
        except ValueError:
            raise BadParameter(f"must be a number (got {value!r})") from None
        if not (least <= found < inf and (most is None or found <= most)):
            raise BadParameter(f"must be {bounds} (got {value})")
        return found

    return read


def duration(value: Any) -> float:
    """A positive time, in seconds."""
    try:
        seconds = parse_duration_s(str(value))
    except ValueError:
        raise BadParameter(f"must be a time such as 15, 15s, 500ms or 2m (got {value!r})") from None
    if seconds == 0:
        raise BadParameter(f"must be more than 0 (got {value})")
    if seconds > _LONGEST_S:
        raise BadParameter(f"must be at most 720h, which is 30 days (got {value})")
    return seconds


def percentiles(value: Any) -> tuple[float, ...]:
    """Percents, separated by commas."""
    try:
        percents = tuple(sorted({float(part) for part in str(value).split(",")}))
    except ValueError:
        raise BadParameter(f"must be numbers separated by commas, such as 50,90,99 (got {value!r})") from None
    if not all(0 < percent < 100 for percent in percents):
        raise BadParameter(f"must be between 0 and 100 (got {value})")
    return percents


def rows(value: Any) -> tuple[str, ...]:
    """Names of figures, separated by commas; vLLM's `e2el` is `e2e`."""
    names = [part.strip() for part in str(value).lower().split(",")]
    found = tuple(dict.fromkeys(map(canonical_name, names)))
    for row in found:
        if row not in ROWS:
            raise BadParameter(f"must be one of {', '.join(ROWS)} (got {row!r})")
    return found


def goodput_option(ctx: Context, param: Parameter, value: tuple[str, ...]) -> dict[str, float]:
    """Limits in milliseconds by figure, from all uses of the option."""
    try:
        return parse_goodput(value) if value else {}
    except ValueError as error:
        raise BadParameter(str(error)) from None


def headers_option(ctx: Context, param: Parameter, value: tuple[str, ...]) -> tuple[Header, ...]:
    """Names and values from all uses of the option."""
    try:
        return parse_headers(value)
    except ValueError as error:
        raise BadParameter(str(error)) from None


def shapes(value: Any) -> tuple[str, ...]:
    """Names of shapes of the self-test, separated by commas."""
    from bench.truth.script import SHAPES

    names = tuple(dict.fromkeys(part.strip() for part in str(value).lower().split(",")))
    for name in names:
        if name not in SHAPES:
            raise BadParameter(f"must be one of {', '.join(SHAPES)} (got {name!r})")
    return names


def json_object(value: Any) -> dict[str, Any]:
    """A JSON object."""
    if isinstance(value, dict):  # from a configuration file
        return value
    try:
        content = msgspec.json.decode(value)
    except (ValueError, RecursionError) as error:
        raise BadParameter(f"must be a JSON object ({error}; got {value!r:.60})") from None
    if not isinstance(content, dict):
        raise BadParameter(f"must be a JSON object (got {value!r:.60})")
    return content


def request_rate(value: Any) -> float | None:
    """Requests per second; None for `inf`, which is a closed loop."""
    if str(value).lower() == "inf":
        return None
    try:
        rate = float(value)
    except ValueError:
        raise BadParameter(f"must be a number of requests a second, or inf (got {value!r})") from None
    if not _LEAST_RATE <= rate <= _MOST_RATE:
        raise BadParameter(f"must be from {_LEAST_RATE} to {_MOST_RATE:,} requests a second, or inf (got {value})")
    return rate


def burstiness(value: Any) -> float:
    """The shape of gamma arrivals; `inf` means constant arrivals."""
    try:
        shape = float(value)
    except ValueError:
        raise BadParameter(f"must be a number from 0.01 to 1,000, or inf (got {value!r})") from None
    if not (0.01 <= shape <= 1000 or shape == inf):
        raise BadParameter(f"must be from 0.01 to 1,000, or inf (got {value})")
    return shape


def endpoint(value: Any) -> str:
    """`chat`, `completions`, or a path."""
    text = str(value)
    if text in ("chat", "completions") or text.startswith("/"):
        return text
    raise BadParameter(f"must be chat, completions or a path such as /v1/chat/completions (got {text!r})")


def one_of(*choices: str) -> Callable[[Any], str]:
    """A reader of one word out of several."""

    def read(value: Any) -> str:
        if value not in choices:
            known = " or ".join(choices) if len(choices) == 2 else f"one of {', '.join(choices)}"
            raise BadParameter(f"must be {known} (got {value!r})")
        return str(value)

    return read
