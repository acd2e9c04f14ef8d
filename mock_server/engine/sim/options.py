"""The options of the engines that need no model."""

from __future__ import annotations

from dataclasses import dataclass

from mock_server.engine.options import POSITIVE, TEXT, CommonOptions, Number, option
from mock_server.engine.sim.profiles import PROFILES

_SIMULATED = "Simulated engines"


@dataclass(frozen=True, kw_only=True)
class SimulatedOptions(CommonOptions):
    """Of the simulated engine and of the scripted one; each refuses what is only for the other."""

    profile: str | None = option(
        TEXT,
        _SIMULATED,
        f"Speed of the simulated engine: {', '.join(PROFILES)}. [default: demo]",
        metavar="NAME",
    )
    script: str | None = option(TEXT, _SIMULATED, "Times of the scripted engine.", metavar="ttft_ms=200,itl_ms=20")
    time_scale: float | None = option(
        Number(0, low_open=True), _SIMULATED, "Speed of the engine's clock: 2 is twice as fast. [default: 1]"
    )
    image_tokens: int | None = option(
        POSITIVE, _SIMULATED, "Tokens that an image in a chat counts as. [default: images refused]"
    )
