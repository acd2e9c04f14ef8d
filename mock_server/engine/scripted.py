"""`from mock_server import ScriptedEngine, TimedDelta` replaces this path, which stays for programs that use it."""

from __future__ import annotations

from mock_server.engine.sim.scripted import ScriptedEngine as ScriptedEngine
from mock_server.engine.sim.scripted import TimedDelta as TimedDelta
