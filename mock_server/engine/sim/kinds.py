"""The engines that need no model, as kinds of engine."""

from __future__ import annotations

from mock_server.engine.base import Engine
from mock_server.engine.kind import EngineKind, ServedModel
from mock_server.engine.sim.options import SimulatedOptions


def _simulated(model: ServedModel, options: SimulatedOptions) -> Engine:
    from mock_server.engine.sim.factories import make_simulated

    return make_simulated(model, options)


def _scripted(model: ServedModel, options: SimulatedOptions) -> Engine:
    from mock_server.engine.sim.factories import make_scripted

    return make_scripted(model, options)


SIMULATED = EngineKind(SimulatedOptions, _simulated)
SCRIPTED = EngineKind(SimulatedOptions, _scripted)
