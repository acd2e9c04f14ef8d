"""An OpenAI-compatible server over a small engine protocol, with a simulated engine that behaves like a loaded one.

Each name is imported on first use, so `import mock_server` is cheap.
"""

from __future__ import annotations

from importlib import import_module
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from mock_server.app import create_app
    from mock_server.engine.author.tokenizer import Tokenizer
    from mock_server.engine.base import Delta
    from mock_server.engine.sim.clock import RealClock
    from mock_server.engine.sim.scripted import ScriptedEngine, TimedDelta

__all__ = ["Delta", "RealClock", "ScriptedEngine", "TimedDelta", "Tokenizer", "create_app"]

_HOMES = {
    "Delta": "mock_server.engine.base",
    "RealClock": "mock_server.engine.sim.clock",
    "ScriptedEngine": "mock_server.engine.sim.scripted",
    "TimedDelta": "mock_server.engine.sim.scripted",
    "Tokenizer": "mock_server.engine.author.tokenizer",
    "create_app": "mock_server.app",
}


def __getattr__(name: str) -> object:
    if name not in _HOMES:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    found = globals()[name] = getattr(import_module(_HOMES[name]), name)
    return found


def __dir__() -> list[str]:
    return sorted({*globals(), *__all__})
