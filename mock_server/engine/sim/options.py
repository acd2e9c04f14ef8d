"""The options of the engines that need no model."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

from mock_server.engine.options import POSITIVE, TEXT, CommonOptions, option
from mock_server.engine.ranges import Number
from mock_server.engine.sim.profiles import DEFAULT_PROFILE, PROFILES

_SIMULATED = "Simulated engines"
SCRIPT_DEFAULTS = {"ttft_ms": 200.0, "itl_ms": 20.0}
"""The times that a script does not give."""


def script_text(times_ms: Mapping[str, float]) -> str:
    """Times in the form of `--script`."""
    return ",".join(f"{name}={value:g}" for name, value in times_ms.items())


@dataclass(frozen=True, kw_only=True)
class SimulatedOptions(CommonOptions):
    """The options of the simulated and of the scripted engine. Each refuses options that are only for the other."""

    profile: str | None = option(
        TEXT,
        _SIMULATED,
        f"Speed of the simulated engine: {', '.join(PROFILES)}. [default: {DEFAULT_PROFILE}]",
        metavar="NAME",
    )
    script: str | None = option(TEXT, _SIMULATED, "Times of the scripted engine.", metavar=script_text(SCRIPT_DEFAULTS))
    time_scale: float | None = option(
        Number(0, low_open=True), _SIMULATED, "Speed of the engine's clock: 2 is twice as fast. [default: 1]"
    )
    image_tokens: int | None = option(
        POSITIVE, _SIMULATED, "Prompt tokens for each image in a chat. [default: images refused]"
    )
