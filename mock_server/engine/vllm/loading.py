"""Loads vLLM with its model: in a thread, in a prepared environment, and so that the start can be cancelled."""

from __future__ import annotations

import asyncio
import multiprocessing
import os
from collections.abc import Mapping
from importlib import import_module
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import TYPE_CHECKING, Any

from mock_server.engine.errors import EngineDeadError, EngineError
from mock_server.engine.vllm.environment import forget, prepare
from mock_server.engine.vllm.problems import start_error

if TYPE_CHECKING:
    from multiprocessing.process import BaseProcess

    from mock_server.engine.vllm.library import VllmCore

_CHILD_END_S = 0.5


class CoreLoading:
    """`arguments` are fields of vLLM's `AsyncEngineArgs`."""

    def __init__(self, arguments: Mapping[str, Any]) -> None:
        self._arguments = arguments
        self._folder: TemporaryDirectory[str] | None = None

    async def load(self) -> VllmCore:
        """Raises `EngineStartError`. Cancelled, it leaves nothing running."""
        self._folder = TemporaryDirectory(prefix="streamgauge-")
        log_file = Path(self._folder.name, "errors")
        prepare(os.environ, log_file)
        try:
            return await self._load_in_thread()
        except EngineError:
            raise
        except Exception as error:
            raise start_error(error, log_file, self._arguments) from error

    async def _load_in_thread(self) -> VllmCore:
        """The event loop stays free, so that this task can be cancelled."""
        is_wanted = True
        loop = asyncio.get_running_loop()
        # a separate call: something that vLLM imports keeps the frames that imported it, and everything in them
        await loop.run_in_executor(None, import_module, "mock_server.engine.vllm.library")

        def load() -> VllmCore:
            from mock_server.engine.vllm.library import VllmCore

            if not is_wanted:
                raise EngineDeadError("the start of the engine was cancelled")
            return VllmCore(self._arguments)

        others = set(multiprocessing.active_children())
        loading = loop.run_in_executor(None, load)
        try:
            return await asyncio.shield(loading)
        except asyncio.CancelledError:
            is_wanted = False
            await _abandon(loading, others)
            raise

    def clean_up(self) -> None:
        """After the core has been shut down: restores the environment and removes the temporary folder."""
        if self._folder is not None:
            forget(os.environ, Path(self._folder.name))
            self._folder.cleanup()


async def _abandon(loading: asyncio.Future[VllmCore], others: set[BaseProcess]) -> None:
    """Ends a cancelled start, and every process that has begun since, except `others`."""
    while not loading.done():
        for child in set(multiprocessing.active_children()) - others:
            child.kill()
        await asyncio.wait({loading}, timeout=_CHILD_END_S)
    if not loading.cancelled() and loading.exception() is None:
        await asyncio.to_thread(loading.result().shutdown)
