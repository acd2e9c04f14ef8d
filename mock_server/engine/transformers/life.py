"""The model's thread from its start to its end, and whether it can serve."""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING

from mock_server.engine.errors import EngineDeadError

if TYPE_CHECKING:
    from mock_server.engine.transformers.core import TransformersCore


class CoreLife:
    """Holds the core. `death` is why it cannot serve, None while it can."""

    def __init__(self) -> None:
        self.death: EngineDeadError | None = EngineDeadError("the engine has not been started")
        self.core: TransformersCore | None = None
        self._has_died = asyncio.Event()

    def begin(self, core: TransformersCore) -> None:
        self.core = core
        self.death = None

    def end(self) -> TransformersCore | None:
        """Returns the core to the caller, who stops it; None if there is none any more."""
        if self.death is None:
            self.death = EngineDeadError("the engine was stopped")
        core, self.core = self.core, None
        return core

    def die(self) -> EngineDeadError:
        """The core has failed."""
        self.death = EngineDeadError("the engine has died; the reason is in the server's log")
        self._has_died.set()
        return self.death

    @property
    def running(self) -> TransformersCore:
        """Raises `EngineDeadError` unless the core can serve."""
        self.check()
        if self.core is None:
            raise EngineDeadError("the engine has not been started")
        return self.core

    def check(self) -> None:
        """Raises `EngineDeadError` unless the core can serve."""
        if self.death is not None:
            raise self.death

    async def wait_until_dead(self) -> EngineDeadError:
        """Returns when the core has died, as opposed to having been stopped."""
        await self._has_died.wait()
        return EngineDeadError("the engine has died; the reason is in the log above")
