"""What a difference between two sides amounts to, in words. Pure."""

from __future__ import annotations

from typing import Literal

from bench.compare.difference import CONFIDENCE, Difference
from bench.compare.quantity import Quantity

Conclusion = Literal["better", "worse", "no practical difference", "no difference shown", "inconclusive"]

MOST_UNSEEN = 0.25
"""If only a larger change would have been shown, the data are inconclusive."""


def judge(quantity: Quantity, found: Difference, adjusted_p: float, threshold: float) -> Conclusion:
    """Judge a difference. `adjusted_p` allows for the other figures (Holm), `threshold` is the least that matters."""
    if max(abs(found.low), abs(found.high)) <= threshold:
        return "no practical difference"
    if adjusted_p <= 1 - CONFIDENCE:
        return "better" if (found.change > 0) == quantity.higher_is_better else "worse"
    if found.smallest > MOST_UNSEEN:
        return "inconclusive"
    return "no difference shown"
