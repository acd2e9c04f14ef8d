"""Adapters by request: loaded on first use. The least recently used one makes room for another."""

from __future__ import annotations

import asyncio
from dataclasses import dataclass
from pathlib import Path

from mock_server.engine.base import Adapter, Engine
from mock_server.engine.errors import AdapterError
from mock_server.engine.hf.adapter_files import AdapterFiles
from mock_server.offline.engine_arguments import as_keyword


@dataclass(frozen=True, slots=True)
class LoRARequest:
    """An adapter's name, a unique number (as in vLLM), and its folder. vLLM's own class works as well."""

    lora_name: str
    lora_int_id: int
    lora_path: str


class Adapters:
    """The adapters that an engine has loaded. `limit` is how many fit; None if the engine swaps them itself."""

    def __init__(self, engine: Engine, *, limit: int | None, max_rank: int) -> None:
        self._engine = engine
        self._limit = limit
        self._max_rank = max_rank
        self._paths: dict[str, str] = {}
        self._changing = asyncio.Lock()

    async def load(self, request: LoRARequest) -> str:
        """Loads the adapter and returns its name in the engine. Raises `AdapterError`."""
        name, path = request.lora_name, _full_path(request.lora_path)
        async with self._changing:
            if self._paths.get(name) != path:
                try:
                    await asyncio.to_thread(self._check, Adapter(name, path))
                    await self._make_room(name)
                    await self._engine.add_adapter(Adapter(name, path))
                except AdapterError as error:
                    raise AdapterError(error.spelled(as_keyword)) from error
            self._paths.pop(name, None)
            self._paths[name] = path  # the last one is the most recently used
        return name

    async def _make_room(self, name: str) -> None:
        leaving = [name] if name in self._paths else []
        if not leaving and self._limit is not None and len(self._paths) >= self._limit:
            leaving = [next(iter(self._paths))]
        for other in leaving:
            del self._paths[other]
            await self._engine.remove_adapter(other)

    def _check(self, adapter: Adapter) -> None:
        if not self._max_rank:
            raise AdapterError(
                "lora_request needs an engine with room for adapters: make it with get_vllm_engine(…, enable_lora=True)"
            )
        AdapterFiles.read(adapter).check_rank(self._max_rank)


def _full_path(path: str) -> str:
    return str(Path(path).expanduser())
