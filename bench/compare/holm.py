"""Holds several tests to one error rate (S. Holm, Scandinavian Journal of Statistics 6, 1979). Pure."""

from __future__ import annotations

from collections.abc import Sequence


def holm(p_values: Sequence[float]) -> list[float]:
    """Adjusted p-values, in the order given.

    If each hypothesis whose adjusted value is at most α is rejected, then the probability of rejecting any true one is
    at most α, however the tests depend on each other.
    """
    adjusted, highest = [0.0] * len(p_values), 0.0
    for rank, position in enumerate(sorted(range(len(p_values)), key=p_values.__getitem__)):
        highest = max(highest, min(1.0, (len(p_values) - rank) * p_values[position]))
        adjusted[position] = highest
    return adjusted
