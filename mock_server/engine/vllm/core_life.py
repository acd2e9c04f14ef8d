"""vLLM's core from its start to its end: whether it can serve, and how its failures appear to callers."""

from __future__ import annotations

import asyncio
import contextlib
import logging
from typing import TYPE_CHECKING

from mock_server.engine.errors import EngineDeadError, EngineError

if TYPE_CHECKING:
    from mock_server.engine.vllm.library import VllmCore

_HEALTH_INTERVAL_S = 1.0
_log = logging.getLogger(__name__)


class CoreLife:
    """Holds the only lasting reference to the core, so that nothing keeps it alive after its end."""

    def __init__(self) -> None:
        self._death: EngineDeadError | None = EngineDeadError("the engine has not been started")
        self._has_failed = asyncio.Event()
        self.core: VllmCore | None = None
        """None before the start and after the end. Check `running` to use it."""

    def begin(self, core: VllmCore) -> None:
        self.core = core
        self._death = None

    def end(self) -> VllmCore | None:
        """Returns the core to the caller, who shuts it down; None if there is none any more."""
        if self._death is None:
            self._death = EngineDeadError("the engine was stopped")
        core, self.core = self.core, None
        return core

    @property
    def running(self) -> VllmCore:
        """Raises `EngineDeadError` unless the core can serve."""
        self.check()
        if self.core is None:
            raise EngineDeadError("the engine has not been started")
        return self.core

    def check(self) -> None:
        """Raises `EngineDeadError` unless the core can serve."""
        if self._death is None and self.core is not None and self.core.is_dead:
            self._death = EngineDeadError("the engine has died; the reason is in the server's log")
        if self._death is not None:
            raise self._death

    async def wait_until_dead(self) -> EngineDeadError:
        """Returns when the core has died, as opposed to having been ended."""
        while True:
            with contextlib.suppress(TimeoutError):  # vLLM does not report its death unless a stream notices it
                async with asyncio.timeout(_HEALTH_INTERVAL_S):
                    await self._has_failed.wait()
            if self.core is not None and self.core.is_dead:
                return EngineDeadError("the engine has died; the reason is in the log above")
            self._has_failed.clear()

    def translated(self, error: Exception) -> EngineError:
        """The failure of a stream as an error of ours."""
        try:
            found = self.running.translated(error)
        except EngineDeadError as dead_error:
            found = dead_error
        if isinstance(found, EngineDeadError):
            self._has_failed.set()
        elif type(found) is EngineError:
            _log.error("the engine failed a request", exc_info=error)
        return found
