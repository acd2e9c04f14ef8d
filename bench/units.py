"""Reads times as people write them, and formats figures for people."""

from __future__ import annotations

import re

NS_PER_S = 1_000_000_000
NS_PER_MS = 1_000_000

_DURATION = re.compile(r"(\d+(?:\.\d+)?|\.\d+)\s*(ms|s|m|h)?", re.ASCII)
_SECONDS = {"ms": 0.001, "s": 1.0, "m": 60.0, "h": 3600.0}


def parse_duration_s(text: str) -> float:
    """Seconds of `15`, `15s`, `500ms`, `2m` or `1h`; a bare number is seconds. Raises ValueError otherwise."""
    match = _DURATION.fullmatch(text.strip().lower())
    if match is None:
        raise ValueError(f"{text!r} is not a time such as 15, 15s, 500ms or 2m")
    number, unit = match.groups()
    return float(number) * _SECONDS[unit or "s"]


def format_duration(seconds: float) -> str:
    """The shortest spelling that `parse_duration_s` reads back, for example 15s, 2m, 500ms."""
    if seconds >= 60 and seconds % 60 == 0:
        return f"{seconds / 60:.0f}m"
    if 0 < seconds < 1:
        return f"{seconds * 1000:g}ms"
    return f"{seconds:g}s"


def format_figure(value: float) -> str:
    """A figure at a readable precision: a decimal under a thousand, two under ten, thousands grouped."""
    magnitude = abs(value)
    if magnitude >= 10_000:
        return f"{value:,.0f}"
    if magnitude >= 10 or magnitude == 0:
        return f"{value:,.1f}"
    return f"{value:.2f}"


def format_rate(value: float) -> str:
    """A rate: whole above a hundred, otherwise with a decimal or two."""
    return f"{value:,.0f}" if abs(value) >= 100 else format_figure(value)


def format_count(value: int) -> str:
    """A count with its thousands grouped."""
    return f"{value:,}"


def plural(number: int, noun: str) -> str:
    """A count with its noun: 1 request, 1,200 requests."""
    return f"{number:,} {noun}{'s' * (number != 1)}"


def format_span(seconds: float) -> str:
    """A duration in seconds with one decimal, or in milliseconds if it is under a second."""
    return f"{seconds:,.1f} s" if seconds >= 1 else f"{seconds * 1000:,.0f} ms"
