"""`from mock_server import RealClock` replaces this path, which stays for programs that use it."""

from __future__ import annotations

from mock_server.engine.sim.clock import RealClock as RealClock
