"""Whether runs had the same plan: figures of different loads do not say which server is better. Pure."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from bench.records.run import LoadFacts, Run

_OPTIONS = {
    "plan": "--request-rate",
    "streams": "--concurrency",
    "rate": "--request-rate",
    "arrivals": "--arrivals",
    "burstiness": "--burstiness",
    "streamed": "--stream",
    "output_len": "--output-len",
    "input_len": "--input-len",
    "fixed_length": "--ignore-eos",
    "cache": "--cache",
    "prompts": "--prompts",
}
"""The options that make a plan, by the fact of the load that each sets. A longer run is the same plan."""

MAY_DIFFER = tuple(dict.fromkeys(option.removeprefix("--") for option in (*_OPTIONS.values(), "--endpoint")))
"""The names of the options that two plans may be allowed to differ in."""


def unlike(runs: Sequence[Run]) -> dict[str, tuple[str, ...]]:
    """The options in which the plans differ, with the different values in the order of the runs."""
    found = {
        option: values
        for fact, option in _OPTIONS.items()
        if len(values := _different([_fact(run.load, fact) for run in runs])) > 1
    }
    kinds = _different([run.target.kind for run in runs])
    return found | ({"--endpoint": kinds} if len(kinds) > 1 else {})


def _fact(load: LoadFacts, name: str) -> str:
    value: Any = getattr(load, name)
    if name == "plan":
        return "none" if value == "closed" else "given"
    if isinstance(value, bool):
        return "yes" if value else "no"
    return "none" if value is None else f"{value:g}" if isinstance(value, float) else str(value)


def _different(values: Sequence[str]) -> tuple[str, ...]:
    return tuple(dict.fromkeys(values))
