"""The served names: the base model's, then its adapters'. A request chooses one with `model`."""

from __future__ import annotations

import asyncio
from collections.abc import Iterator
from pathlib import Path, PurePath
from typing import NamedTuple

from mock_server.answer.bodies import ModelCard
from mock_server.engine.base import Adapter, Engine
from mock_server.errors import bad_request, model_not_found, name_taken
from mock_server.request_limits import MAX_LOADED_ADAPTERS
from mock_server.settings import ServerSettings, check_name, is_name
from streamgauge.nearest import did_you_mean


class Target(NamedTuple):
    """The adapter that a request runs on, if any, and the name in its response."""

    name: str
    adapter: str | None


class ModelRegistry:
    """Maps names to targets and cards, base first. Adds and removes adapters here and in the engine together."""

    def __init__(self, settings: ServerSettings, engine: Engine, *, created: int) -> None:
        self._settings = settings
        self._engine = engine
        self._created = created
        path = settings.model_path
        self._root = last_component(path) if is_folder(path) else path
        """The origin on the model's card: a hub id, but never a folder of this machine."""
        self._adapters: dict[str, Adapter] = {}
        self._max_adapters = len(settings.adapters) + MAX_LOADED_ADAPTERS
        self._changing = asyncio.Lock()

    @property
    def is_chat(self) -> bool:
        said = self._settings.is_chat
        return self._engine.info.has_chat_template if said is None else said

    def names(self) -> list[str]:
        return [*self._settings.model_names, *self._adapters]

    def resolve(self, name: str | None) -> Target:
        """No name means the base model, unless one is required (400). Raises a 404 `ApiError` for an unknown name."""
        if name is None:
            if self._settings.require_model:
                raise bad_request(f"model is required. Served here: {', '.join(self.names())}.", param="model")
            return Target(self._settings.model_names[0], None)
        if name in self._settings.model_names:
            return Target(name, None)
        if name in self._adapters:
            return Target(name, name)
        served = self.names()
        hint = did_you_mean(name, served)
        raise model_not_found(f"The model {name[:200]!r} does not exist. Served here: {', '.join(served)}.{hint}")

    async def add_adapters(self) -> None:
        """Adds the adapters of the settings. Call it once the engine has started. Raises `AdapterError`."""
        for adapter in self._settings.adapters:
            await self._engine.add_adapter(adapter)
            self._adapters[adapter.name] = adapter

    async def load(self, adapter: Adapter, *, in_place: bool = False) -> None:
        """Serves an adapter from now on. `in_place`: replace one of the same name.

        Raises an `ApiError` (400) for an invalid or taken name, `AdapterError` if the engine refuses the adapter.
        """
        async with self._changing:
            try:
                check_name(adapter.name)
            except ValueError as error:
                raise bad_request(str(error), param="lora_name") from None
            if adapter.name in self._settings.model_names:
                raise name_taken(f"{adapter.name} is the base model's name", param="lora_name")
            if adapter.name in self._adapters:
                if not in_place:
                    raise bad_request(
                        f"The adapter {adapter.name} has already been loaded. Unload it first, or set load_inplace.",
                        param="lora_name",
                    )
                await self._engine.remove_adapter(adapter.name)
                del self._adapters[adapter.name]
            elif len(self._adapters) >= self._max_adapters:
                raise bad_request(
                    f"The server already has {len(self._adapters)} adapters. It accepts at most {MAX_LOADED_ADAPTERS}"
                    " more than it was started with. Unload one first.",
                    param="lora_name",
                    code="too_many_adapters",
                )
            await self._engine.add_adapter(adapter)
            self._adapters[adapter.name] = adapter

    async def unload(self, name: str) -> None:
        """Raises a 404 `ApiError` if no adapter has the name."""
        async with self._changing:
            if name not in self._adapters:
                served = ", ".join(self._adapters) or "none"
                raise model_not_found(f"The adapter {name[:200]!r} cannot be found. Adapters served here: {served}.")
            del self._adapters[name]
            await self._engine.remove_adapter(name)

    def card(self, name: str) -> ModelCard:
        target = self.resolve(name)
        if target.adapter is None:
            return self._card(name, root=self._root or name, parent=None)
        root = last_component(self._adapters[name].path)
        return self._card(name, root=root or name, parent=self._settings.model_names[0])

    def cards(self) -> Iterator[ModelCard]:
        return (self.card(name) for name in self.names())

    def _card(self, name: str, *, root: str, parent: str | None) -> ModelCard:
        return ModelCard(
            id=name,
            object="model",
            created=self._created,
            owned_by=self._settings.owned_by,
            root=root,
            parent=parent,
            max_model_len=self._engine.info.max_model_len,
            is_chat=self.is_chat,
            is_multimodal=self._engine.info.image_tokens is not None,
        )


def is_folder(path: str) -> bool:
    """Whether a model's path is a folder here and not a hub id."""
    return path.startswith(("/", "~", ".")) or path.count("/") > 1 or (path != "" and Path(path).is_dir())


def last_component(path: str) -> str:
    """The last component of a path, if it can be a name. Callers must not learn where a folder is."""
    name = PurePath(path).name
    return name if is_name(name) else ""
