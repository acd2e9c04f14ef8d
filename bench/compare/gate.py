"""Limits on a change, such as `ttft_p99>+5%`: when a comparison fails. Pure."""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from bench.compare.difference import CONFIDENCE, Difference
from bench.compare.holm import holm
from bench.compare.quantity import Quantity, read_quantity

_FORM = re.compile(r"\s*(?P<name>[^<>=\s]+)\s*(?P<side>[<>])\s*(?P<limit>[+-]?(?:\d+(?:\.\d+)?|\.\d+))\s*%\s*")


@dataclass(frozen=True, slots=True)
class Gate:
    """A change that is not accepted: `quantity` above `limit` (0.05 is +5 %) or, without `is_above`, below it."""

    text: str
    quantity: Quantity
    is_above: bool
    limit: float


@dataclass(frozen=True, slots=True)
class GateOutcome:
    """Whether the change is beyond the limit. A gate that could not be judged has failed, and `reason` says why."""

    gate: Gate
    failed: bool
    reason: str | None = None


def read_gate(text: str) -> Gate:
    """Read a limit. Raises ValueError with a message that explains what is wrong."""
    match = _FORM.fullmatch(text)
    if match is None:
        raise ValueError(f"must be a figure, < or >, and a change in percent, such as ttft_p99>+5% (got {text!r})")
    quantity, limit = read_quantity(match["name"]), float(match["limit"]) / 100
    if limit <= -1:
        raise ValueError(f"must be a change above -100% (got {text!r})")
    return Gate("".join(text.split()), quantity, match["side"] == ">", limit)


def judge_gates(gates: Sequence[Gate], differences: Mapping[str, Difference | str]) -> list[GateOutcome]:
    """A gate fails if the true change is beyond its limit with the stated confidence, not if the measured one is.

    All gates together have the error rate of one (Holm): if no true change is beyond its limit, then the probability
    that any gate fails is at most 5 %.
    """
    known = {gate.text: found for gate in gates if isinstance(found := differences[gate.quantity.name], Difference)}
    judged = [gate for gate in gates if gate.text in known]
    adjusted = holm([_p_value(gate, known[gate.text]) for gate in judged])
    p_values = {gate.text: p for gate, p in zip(judged, adjusted, strict=True)}
    return [
        GateOutcome(gate, p_values[gate.text] <= 1 - CONFIDENCE)
        if gate.text in p_values
        else GateOutcome(gate, True, str(differences[gate.quantity.name]))
        for gate in gates
    ]


def _p_value(gate: Gate, found: Difference) -> float:
    return found.p_above(gate.limit) if gate.is_above else found.p_below(gate.limit)
