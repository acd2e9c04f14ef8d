"""Service level objectives as users write them: `ttft:200`, `tpot:50`, `e2el:2000`, in milliseconds per request."""

from __future__ import annotations

from collections.abc import Iterable

from bench.figures.catalogue import LIMITED, canonical_name


def parse_goodput(texts: Iterable[str]) -> dict[str, float]:
    """Read the limit of each figure in milliseconds. Raises ValueError with a message that explains what is wrong."""
    limits: dict[str, float] = {}
    for text in (part for given in texts for part in given.replace(",", " ").split()):
        name, *middle, number = text.lower().split(":") if ":" in text else (text, "")
        name = canonical_name(name)
        if middle:
            raise ValueError(f"limits apply to each request, not to a percentile: give {name}:{number} (got {text!r})")
        if name not in LIMITED and ":" not in text:
            raise ValueError(f"must name a figure and its limit in milliseconds, such as ttft:200 (got {text!r})")
        if name not in LIMITED:
            raise ValueError(f"must be one of {', '.join(LIMITED)} (got {text!r})")
        if name in limits:
            raise ValueError(f"gives {name} twice (got {text!r})")
        limits[name] = _milliseconds(number, text)
    if not limits:
        raise ValueError("must name a figure and its limit in milliseconds, such as ttft:200 tpot:50")
    return limits


def _milliseconds(number: str, text: str) -> float:
    try:
        limit = float(number.removesuffix("ms"))
    except ValueError:
        limit = 0.0
    if not 0 < limit < float("inf"):
        raise ValueError(f"must give the limit in milliseconds, such as ttft:200 (got {text!r})")
    return limit
