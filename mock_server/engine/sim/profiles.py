"""Named speeds of the simulated engine."""

from __future__ import annotations

from dataclasses import dataclass

from mock_server.engine.sim.cost_model import StepCosts
from streamgauge.nearest import did_you_mean


@dataclass(frozen=True, slots=True)
class Profile:
    """Step costs and batch limits under a name."""

    name: str
    summary: str
    costs: StepCosts
    max_num_seqs: int = 256
    max_num_batched_tokens: int = 2048


PROFILES = {
    profile.name: profile
    for profile in (
        Profile(
            "demo",
            "a 7B chat model on one data-centre GPU: about 8 ms per token at 64 streams, first token after 100 ms",
            StepCosts(
                base_s=5.2e-3,
                prefill_token_s=12e-6,
                decode_seq_s=32e-6,
                kv_token_s=60e-9,
                step_sigma=0.04,
                frontend_s=82e-3,
                frontend_sigma=0.25,
            ),
        ),
        Profile(
            "instant",
            "no delay: as fast as this process can run",
            StepCosts(),
            max_num_seqs=4096,
            max_num_batched_tokens=65536,
        ),
    )
}
DEFAULT_PROFILE = "demo"


def find_profile(name: str) -> Profile:
    """Raises `ValueError`, which lists the known names."""
    profile = PROFILES.get(name)
    if profile is None:
        hint = did_you_mean(name, PROFILES)
        raise ValueError(f"no profile is called {name!r}; there are: {', '.join(PROFILES)}.{hint}")
    return profile
