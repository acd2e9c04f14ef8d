"""The server's own counters in the Prometheus text format, with vLLM's names, and their growth. Pure."""

from __future__ import annotations

import re
from collections.abc import Mapping

from bench.records.run import ServerCounters

REQUESTS, PROMPT_TOKENS, GENERATION_TOKENS = (
    "vllm:request_success_total",
    "vllm:prompt_tokens_total",
    "vllm:generation_tokens_total",
)
_MOST = 2**53  # beyond it, the floats of Prometheus skip integers
_NAMES = (REQUESTS, PROMPT_TOKENS, GENERATION_TOKENS)
_MOST_LINE = 16 * 1024  # characters; a longer line is not a sample, and would take long to match
_SAMPLE = re.compile(r"(?P<name>[a-zA-Z_:][\w:]*)(?:\{(?P<labels>.*)\})?[ \t]+(?P<value>\S+)(?:[ \t]+\d+)?[ \t\r]*")
# Tried where a word begins alone: from each letter of a long one it would take the square of its length.
_LABEL = re.compile(r'(?<!\w)(\w+)="((?:[^"\\]|\\.)*)"')

Counted = Mapping[str, int]


def read_counters(text: str, model: str) -> dict[str, int]:
    """Each counter that is there, summed over its labels; where they name a model, of that one. Raises ValueError."""
    found: dict[str, int] = {}
    for line in text.split("\n"):
        sample = _SAMPLE.fullmatch(line) if line.startswith(_NAMES) and len(line) <= _MOST_LINE else None
        if sample is None:
            continue
        name = sample["name"]
        if name in _NAMES and dict(_LABEL.findall(sample["labels"] or "")).get("model_name", model) == model:
            value = float(sample["value"])
            total = found.get(name, 0) + value
            if not (value >= 0 and total <= _MOST):
                raise ValueError(f"{name} is {value:g}, in all {total:g}")
            found[name] = int(total)
    return found


def growth(before: Counted, after: Counted) -> ServerCounters:
    """What was counted in between. A counter that appears with the first request began at 0."""
    if not after:
        return ServerCounters(problem="its /metrics has none of vLLM's names")
    grown = {name: after[name] - before.get(name, 0) for name in _NAMES if name in after}
    if any(value < 0 for value in grown.values()):
        return ServerCounters(problem="they decreased: the server was restarted")
    return ServerCounters(
        requests=grown.get(REQUESTS),
        prompt_tokens=grown.get(PROMPT_TOKENS),
        generation_tokens=grown.get(GENERATION_TOKENS),
    )
