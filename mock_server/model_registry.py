"""Which names are served: the base model under its names, then its adapters. A request's `model` chooses."""

import difflib
from collections.abc import Iterator
from typing import NamedTuple

from .engine.base import Adapter
from .errors import model_not_found
from .responses import ModelCard
from .settings import Settings


class Target(NamedTuple):
    """What a request runs on, and the name that its response carries."""

    name: str
    adapter: str | None


class ModelRegistry:
    """Names to targets and cards, base first."""

    def __init__(self, settings: Settings, *, created: int, max_model_len: int) -> None:
        self._settings = settings
        self._created = created
        self._max_model_len = max_model_len
        self._adapters = {adapter.name: adapter for adapter in settings.adapters}

    def names(self) -> list[str]:
        return [*self._settings.model_names, *self._adapters]

    def resolve(self, name: str | None) -> Target:
        """No name means the base model. Raises a 404 `ApiError` that tells what is served."""
        if name is None:
            return Target(self._settings.model_names[0], None)
        if name in self._settings.model_names:
            return Target(name, None)
        if name in self._adapters:
            return Target(name, name)
        near = difflib.get_close_matches(name[:200], self.names(), n=1, cutoff=0.6)
        hint = f" Did you mean {near[0]}?" if near else ""
        raise model_not_found(f"The model {name[:200]!r} does not exist. Served here: {', '.join(self.names())}.{hint}")

    def card(self, name: str) -> ModelCard:
        target = self.resolve(name)
        if target.adapter is None:
            return self._card(name, root=self._settings.model_path or name, parent=None)
        adapter = self._adapters[name]
        return self._card(name, root=adapter.path or name, parent=self._settings.model_names[0])

    def cards(self) -> Iterator[ModelCard]:
        return (self.card(name) for name in self.names())

    def adapters(self) -> list[Adapter]:
        return list(self._adapters.values())

    def _card(self, name: str, *, root: str, parent: str | None) -> ModelCard:
        return ModelCard(
            id=name,
            object="model",
            created=self._created,
            owned_by=self._settings.owned_by,
            root=root,
            parent=parent,
            max_model_len=self._max_model_len,
            is_chat=self._settings.is_chat,
            is_multimodal=False,
        )
