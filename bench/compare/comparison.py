"""Compares the runs of two sides. Pure: runs with their records in, a comparison out."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Literal

import msgspec
import numpy as np

from bench.compare.difference import Difference, Estimate, difference
from bench.compare.gate import Gate, judge_gates
from bench.compare.holm import holm
from bench.compare.judgement import Conclusion, judge
from bench.compare.quantity import Quantity
from bench.compare.run_estimates import Estimates, run_estimates
from bench.figures.token_flow import Moments
from bench.records.record import Columns
from bench.records.run import METRICS_SPEC, Run

COMPARISON_SCHEMA = 1
DEFAULT_THRESHOLD = 0.01


@dataclass(frozen=True, slots=True)
class RecordedRun:
    """A run with its records. `where` is the folder that they were read from, as the user gave it."""

    where: str
    run: Run
    columns: Columns
    moments: Moments


class Change(msgspec.Struct, kw_only=True):
    """How a quantity changed. A quantity that cannot be compared has a `reason` and nulls.

    `before` and `after` are the geometric means of the runs. `change` is relative: 0.05 is 5 % more; `low` and `high`
    are its 95 % interval. `smallest` is the relative change that would have been shown with a probability of 80 %.
    `p_value` is that of no change, adjusted for the number of quantities (Holm).
    """

    quantity: str
    label: str
    unit: str
    higher_is_better: bool
    before: float | None = None
    after: float | None = None
    change: float | None = None
    low: float | None = None
    high: float | None = None
    smallest: float | None = None
    p_value: float | None = None
    conclusion: Conclusion | Literal["not compared"] = "not compared"
    reason: str | None = None


class GateResult(msgspec.Struct, kw_only=True):
    """A limit on a change, and whether the interval of the change lies beyond it. `reason`: why that is unknown."""

    gate: str
    failed: bool
    reason: str | None = None


class Side(msgspec.Struct, kw_only=True):
    """The runs of one side: their folders, and what they measured."""

    runs: list[str]
    model: str
    url: str
    started: list[str]


class Comparison(msgspec.Struct, kw_only=True):
    """Two sides compared. `threshold` is the smallest relative change that matters."""

    schema: int = COMPARISON_SCHEMA
    metrics_spec: int = METRICS_SPEC
    tool: str
    before: Side
    after: Side
    load: str
    threshold: float
    changes: list[Change]
    gates: list[GateResult] = []
    notes: list[str] = []

    @property
    def has_failed(self) -> bool:
        """Whether any gate has failed."""
        return any(gate.failed for gate in self.gates)


def compare(
    before: Sequence[RecordedRun],
    after: Sequence[RecordedRun],
    quantities: Sequence[Quantity],
    gates: Sequence[Gate],
    *,
    threshold: float = DEFAULT_THRESHOLD,
    notes: Sequence[str] = (),
    seed: int = 7,
    tool: str = "",
) -> Comparison:
    """Compare the runs of two sides, each of which has at least one. The seed is that of the resampling."""
    wanted = list(dict.fromkeys((*quantities, *(gate.quantity for gate in gates))))
    rng = np.random.default_rng(seed)
    sides = [[run_estimates(r.run, r.columns, r.moments, wanted, rng) for r in side] for side in (before, after)]
    differences = {quantity.name: _difference(quantity.name, *sides) for quantity in wanted}
    return Comparison(
        tool=tool,
        before=_side(before),
        after=_side(after),
        load=before[0].run.load.shape,
        threshold=threshold,
        changes=_changes(quantities, differences, threshold),
        gates=[
            GateResult(gate=outcome.gate.text, failed=outcome.failed, reason=outcome.reason)
            for outcome in judge_gates(gates, differences)
        ],
        notes=[*notes, *_notes(before, after)],
    )


def _notes(before: Sequence[RecordedRun], after: Sequence[RecordedRun]) -> list[str]:
    """What a reader of the comparison must know."""
    notes = []
    if len(before) == 1 or len(after) == 1:
        notes.append(
            "one run on a side: how much runs differ by themselves is not known, so a small change may be chance; "
            "give folders with several runs, measured in turns"
        )
    if {each.where for each in before} & {each.where for each in after}:
        notes.append("a run is on both sides")
    return notes


def _side(runs: Sequence[RecordedRun]) -> Side:
    first = runs[0].run.target
    return Side(runs=[r.where for r in runs], model=first.model, url=first.url, started=[r.run.started for r in runs])


def _difference(name: str, before: Sequence[Estimates], after: Sequence[Estimates]) -> Difference | str:
    """The difference of a quantity, or why there is none: each run must have it."""
    found: list[list[Estimate]] = []
    for label, side in (("before", before), ("after", after)):
        reasons = [reason for estimates in side if isinstance(reason := estimates[name], str)]
        if reasons:
            return f"{label}: {reasons[0]}"
        found.append([estimate for estimates in side if isinstance(estimate := estimates[name], Estimate)])
    return difference(*found)


def _changes(
    quantities: Sequence[Quantity], differences: dict[str, Difference | str], threshold: float
) -> list[Change]:
    known = {q.name: each for q in quantities if isinstance(each := differences[q.name], Difference)}
    p_values = dict(zip(known, holm([each.p_value for each in known.values()]), strict=True))
    changes = []
    for quantity in quantities:
        change = Change(
            quantity=quantity.name,
            label=quantity.label,
            unit=quantity.unit,
            higher_is_better=quantity.higher_is_better,
        )
        found = differences[quantity.name]
        if isinstance(found, str):
            change.reason = found
        else:
            change.before, change.after, change.change = found.before, found.after, found.change
            change.low, change.high, change.smallest = found.low, found.high, found.smallest
            change.p_value = p_values[quantity.name]
            change.conclusion = judge(quantity, found, change.p_value, threshold)
        changes.append(change)
    return changes
