"""How long the modelled hardware takes for a step and a request, in seconds: linear, with seeded noise.

step = (base + a * prefill tokens + b * decoding sequences + c * context tokens read) * noise,
where the noise is log-normal with median 1. This form fits a step of a transformer under continuous batching.
"""

from __future__ import annotations

import math
import random
from dataclasses import dataclass

from mock_server.engine.sim.scheduler import StepPlan


@dataclass(frozen=True, slots=True)
class StepCosts:
    """Coefficients, in seconds; `*_sigma` are standard deviations of the logarithm of the noise factor."""

    base_s: float = 0.0
    prefill_token_s: float = 0.0
    decode_seq_s: float = 0.0
    kv_token_s: float = 0.0
    step_sigma: float = 0.0
    frontend_s: float = 0.0
    """Median time from a request's arrival to the scheduler's queue (parsing, tokenizing, hand-over)."""
    frontend_sigma: float = 0.0

    def __post_init__(self) -> None:
        for name in self.__slots__:
            value = getattr(self, name)
            if not (value >= 0 and math.isfinite(value)):
                raise ValueError(f"{name} must be a finite number of at least 0 (got {value})")


class CostModel:
    """Draws durations. The same seed and the same calls give the same durations."""

    def __init__(self, costs: StepCosts, seed: int = 0) -> None:
        self.costs = costs
        self._step_noise = random.Random(f"step {seed}")
        self._frontend_noise = random.Random(f"frontend {seed}")

    def step_s(self, plan: StepPlan) -> float:
        costs = self.costs
        mean_s = (
            costs.base_s
            + costs.prefill_token_s * plan.num_prefill_tokens
            + costs.decode_seq_s * len(plan.decodes)
            + costs.kv_token_s * plan.num_kv_tokens
        )
        return _noisy(mean_s, costs.step_sigma, self._step_noise)

    def frontend_s(self) -> float:
        return _noisy(self.costs.frontend_s, self.costs.frontend_sigma, self._frontend_noise)


def _noisy(median_s: float, sigma: float, source: random.Random) -> float:
    return median_s * source.lognormvariate(0.0, sigma) if sigma and median_s else median_s
