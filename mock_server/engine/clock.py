"""`from mock_server import RealClock` replaces this path, which stays for programs that use it."""

from mock_server.engine.sim.clock import RealClock as RealClock
