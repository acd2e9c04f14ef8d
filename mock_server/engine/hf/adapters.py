"""The adapters inside an engine's core: loaded, in use, and removed once no request uses them any more."""

from __future__ import annotations

import asyncio
import itertools
import logging
from collections.abc import Awaitable, Callable
from dataclasses import dataclass
from typing import Any, Protocol

from mock_server.engine.base import Adapter
from mock_server.engine.errors import AdapterError, EngineError
from mock_server.engine.hf.adapter_files import AdapterFiles
from mock_server.engine.hf.reasons import last_line
from mock_server.engine.wording import Setting

_log = logging.getLogger(__name__)


class AdapterCore(Protocol):
    """What computes with the adapters."""

    @property
    def is_dead(self) -> bool: ...

    async def add_lora(self, name: str, number: int, path: str) -> Any:
        """Returns the object by which requests name the adapter."""

    async def remove_lora(self, number: int) -> None: ...


class CoreHolder(Protocol):
    """The core from its start to its end. `running` raises `EngineDeadError` unless it can serve."""

    @property
    def core(self) -> AdapterCore | None: ...

    @property
    def running(self) -> AdapterCore: ...


@dataclass(slots=True, eq=False)
class LoadedAdapter:
    """`request` identifies it to the core; `users` is the number of requests that run on it."""

    adapter: Adapter
    number: int
    request: Any
    users: int = 0
    is_leaving: bool = False


class ServedAdapters:
    """`limit` is how many fit at the same time, None if there is no limit; `model` is the base that they must fit."""

    def __init__(
        self,
        life: CoreHolder,
        *,
        is_enabled: bool,
        limit: int | None,
        max_rank: int | None,
        model: str,
        check: Callable[[str], Awaitable[bool]] | None = None,
        library: str = "vLLM",
    ) -> None:
        """`library` computes with them. `check` returns False for the name of a loaded adapter that affects the base
        model's answers; None: no check.

        Not `is_enabled`: the engine was started without room for adapters, and every call raises `AdapterError`.
        """
        self._life = life
        self._is_enabled = is_enabled
        self._limit = limit
        self._max_rank = max_rank
        self._model = model
        self._check = check
        self._library = library
        self._changing = asyncio.Lock()
        self._loaded: dict[str, LoadedAdapter] = {}
        self._leaving: set[LoadedAdapter] = set()
        self._names_given: set[str] = set()
        self._numbers = itertools.count(1)
        self._drops: set[asyncio.Task[None]] = set()

    async def add(self, adapter: Adapter) -> None:
        """Loads it and checks it. Raises `AdapterError`."""
        self._check_enabled()
        async with self._changing:
            await self._load(adapter)
            if self._check is not None and not await self._check(adapter.name):
                await self.remove(adapter.name)
                raise AdapterError(
                    f"this build of vLLM answers requests for the base model with the adapter {adapter.name} when both"
                    " run at the same time, so none of its answers can be trusted. Use another build, or serve"
                    " it without this check: ",
                    Setting("lora_self_test", False),
                    ".",
                )

    async def _load(self, adapter: Adapter) -> None:
        core = self._life.running
        self._check_room()
        await asyncio.to_thread(self._check_files, adapter)
        number = next(self._numbers)
        # vLLM keys its prefix cache by the name: an adapter must not find what an earlier one of its name has left
        name = adapter.name if adapter.name not in self._names_given else f"{adapter.name}#{number}"
        self._names_given.add(name)
        try:
            request = await core.add_lora(name, number, adapter.path)
        except Exception as error:
            problem = f"{self._library} refuses the adapter {adapter.name}"
            public = f"{problem}; the reason is in the server's log"
            raise AdapterError(f"{problem}: {last_line(str(error))}", public=public) from error
        self._loaded[adapter.name] = LoadedAdapter(adapter, number, request)

    def _check_enabled(self) -> None:
        if not self._is_enabled:
            raise AdapterError(
                "this server was started without room for adapters: start it with ", Setting("enable_lora", True)
            )

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
        if self._max_rank is not None:
            files.check_rank(self._max_rank)
        files.check_base(self._model)

    async def remove(self, name: str) -> None:
        """New requests may not use it any more. The last request that uses it takes it out of the core."""
        self._check_enabled()
        loaded = self._loaded.pop(name, None)
        if loaded is None:
            return
        loaded.is_leaving = True
        self._leaving.add(loaded)
        if not loaded.users:
            await self._drop(loaded)

    def acquire(self, name: str) -> LoadedAdapter:
        """For one request, which must release it. Raises `EngineError` if it is not loaded."""
        self._check_enabled()
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
        core = self._life.core
        if core is not None and not core.is_dead:
            await core.remove_lora(loaded.number)
        self._leaving.discard(loaded)
        _log.info("adapter %s is out of the engine", loaded.adapter.name)
