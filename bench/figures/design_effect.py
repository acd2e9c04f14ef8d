"""How much gaps resemble each other within one stream, and at one moment of the server. Pure.

The design effect of a share is the variance of its estimate, divided by the variance that as many independent samples
would give. It is computed here with the ratio estimator over clusters (W. G. Cochran, Sampling Techniques, 3rd ed.,
§6.3 and §9A.7).
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence

import numpy as np

from bench.arrays import Floats
from bench.figures.request_table import RequestTable
from bench.figures.sample import Sample
from bench.figures.stats import interpolate, needed_samples
from bench.figures.token_flow import Events, WindowFlow, walk
from bench.units import NS_PER_MS

# A stall of the server affects all streams together; a quarter of a second is longer than most stalls.
_BLOCK_NS = 250_000_000


class _Clusters:
    """For each cluster: its number of gaps, and the number of those no longer than each threshold."""

    def __init__(self, clusters: int, thresholds: int) -> None:
        self._sizes = np.zeros(clusters)
        self._below = np.zeros((thresholds, clusters))

    def add(self, cluster: np.ndarray[tuple[int], np.dtype[np.int64]], gaps: Floats, thresholds: Floats) -> None:
        n = len(self._sizes)
        self._sizes += np.bincount(cluster, minlength=n)
        for position, threshold in enumerate(thresholds):
            self._below[position] += np.bincount(cluster[gaps <= threshold], minlength=n)

    def effects(self) -> Floats:
        """The design effect at each threshold; 1 where there are too few clusters to compute it."""
        present = self._sizes > 0
        sizes, below = self._sizes[present], self._below[:, present]
        total, clusters = sizes.sum(), int(present.sum())
        if clusters < 2:
            return np.ones(len(below))
        share = below.sum(axis=1) / total
        residuals = below - share[:, None] * sizes
        variance = (residuals**2).sum(axis=1) / total**2 * clusters / (clusters - 1)
        alone = share * (1 - share) / total
        return np.where(alone > 0, np.maximum(variance / np.where(alone > 0, alone, 1), 1), 1.0)


def design_effects(
    requests: RequestTable, moments: Iterable[bytes], window: WindowFlow, percents: Sequence[float]
) -> dict[str, dict[float, float]]:
    """By figure (icl, itl) and percent: the design effect, which is the larger one of streams and of moments."""
    wanted = {"icl": window.icl} if window.itl is window.icl else {"icl": window.icl, "itl": window.itl}
    supported = {name: [p for p in percents if sample.n >= needed_samples(p)] for name, sample in wanted.items()}
    thresholds = {name: _thresholds(sample, supported[name]) for name, sample in wanted.items() if supported[name]}
    blocks = window.span.length_ns // _BLOCK_NS + 1
    counted = {
        name: (_Clusters(len(requests), len(values)), _Clusters(blocks, len(values)))
        for name, values in thresholds.items()
    }
    if not counted:
        return {}
    for events in walk(requests, moments):
        for name, (streams, instants) in counted.items():
            inside, gaps = _gaps(events, requests, window, per_token=name == "itl")
            streams.add(events.row[inside], gaps, thresholds[name])
            instants.add((events.ns[inside] - window.span.begin_ns) // _BLOCK_NS, gaps, thresholds[name])
    found = {
        name: dict(zip(supported[name], np.maximum(streams.effects(), instants.effects()).tolist(), strict=True))
        for name, (streams, instants) in counted.items()
    }
    found.setdefault("itl", found.get("icl", {}))
    return found


def _thresholds(sample: Sample, percents: Sequence[float]) -> Floats:
    ordered = sample.ordered()
    return np.array([interpolate(ordered, percent) for percent in percents])


def _gaps(
    events: Events, requests: RequestTable, window: WindowFlow, *, per_token: bool
) -> tuple[np.ndarray[tuple[int], np.dtype[np.bool_]], Floats]:
    """Which events end a gap of the sample, and how long those gaps are in milliseconds."""
    inside = window.counts(events, per_token=per_token)
    gaps = events.gap_ns[inside] / NS_PER_MS
    return inside, gaps / events.tokens[inside] if per_token else gaps
