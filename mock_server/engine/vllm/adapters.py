"""Adapters inside vLLM: loaded, in use, leaving once nobody uses them any longer."""

from __future__ import annotations

import asyncio
import itertools
import logging
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from mock_server.engine.base import Adapter
from mock_server.engine.errors import AdapterError, EngineError
from mock_server.engine.hf.adapter_files import AdapterFiles
from mock_server.engine.vllm.problems import last_line
from mock_server.engine.wording import Setting

if TYPE_CHECKING:
    from mock_server.engine.vllm.library import VllmCore

_log = logging.getLogger(__name__)


@dataclass(slots=True, eq=False)
class LoadedAdapter:
    """`request` is what names it to vLLM; `users` are the requests that run on it."""

    adapter: Adapter
    number: int
    request: Any
    users: int = 0
    is_leaving: bool = False


class VllmAdapters:
    """`limit` is how many fit at once, None when vLLM swaps them; `model` is the base that they must fit."""

    def __init__(self, core: VllmCore, *, limit: int | None, max_rank: int, model: str) -> None:
        self._core = core
        self._limit = limit
        self._max_rank = max_rank
        self._model = model
        self._loaded: dict[str, LoadedAdapter] = {}
        self._leaving: set[LoadedAdapter] = set()
        self._names_given: set[str] = set()
        self._numbers = itertools.count(1)
        self._drops: set[asyncio.Task[None]] = set()

    async def load(self, adapter: Adapter) -> None:
        """Raises `AdapterError`."""
        self._check_room()
        await asyncio.to_thread(self._check_files, adapter)
        number = next(self._numbers)
        # vLLM keys its prefix cache by the name: one given again must not find what its predecessor left
        name = adapter.name if adapter.name not in self._names_given else f"{adapter.name}#{number}"
        self._names_given.add(name)
        try:
            request = await self._core.add_lora(name, number, adapter.path)
        except Exception as error:
            said = f"vLLM refuses the adapter {adapter.name}"
            public = f"{said}; the server's log says why"
            raise AdapterError(f"{said}: {last_line(str(error))}", public=public) from error
        self._loaded[adapter.name] = LoadedAdapter(adapter, number, request)

    def _check_room(self) -> None:
        taken = len(self._loaded) + len(self._leaving)
        if self._limit is not None and taken >= self._limit:
            raise AdapterError(
                f"there is room for {self._limit} adapters, and all of it is taken: unload one, or start the server"
                " with ",
                Setting("max_loras", taken + 1),
            )

    def _check_files(self, adapter: Adapter) -> None:
        files = AdapterFiles.read(adapter)
        files.check_rank(self._max_rank)
        files.check_base(self._model)

    async def unload(self, name: str) -> None:
        """No new request may use it; the last that does takes it out of vLLM."""
        loaded = self._loaded.pop(name, None)
        if loaded is None:
            return
        loaded.is_leaving = True
        self._leaving.add(loaded)
        if not loaded.users:
            await self._drop(loaded)

    def acquire(self, name: str) -> LoadedAdapter:
        """For one request; to be released."""
        loaded = self._loaded.get(name)
        if loaded is None:
            raise EngineError(f"adapter {name!r} is not loaded; loaded: {', '.join(self._loaded) or 'none'}")
        loaded.users += 1
        return loaded

    def release(self, loaded: LoadedAdapter) -> None:
        loaded.users -= 1
        if loaded.is_leaving and not loaded.users:
            drop = asyncio.create_task(self._drop(loaded), name=f"unload {loaded.adapter.name}")
            self._drops.add(drop)
            drop.add_done_callback(self._drops.discard)

    async def _drop(self, loaded: LoadedAdapter) -> None:
        if not self._core.is_dead:
            await self._core.remove_lora(loaded.number)
        self._leaving.discard(loaded)
        _log.info("adapter %s is out of the engine", loaded.adapter.name)
