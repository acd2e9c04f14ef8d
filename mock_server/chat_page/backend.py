"""The server that the page talks to, in this process or elsewhere: its client, its models, what is asked by default."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

from sdk import AsyncInferenceClient, Model


def choices(cards: Sequence[Model]) -> list[tuple[str, str]]:
    """Labels and names of models, adapters marked as such. Pure."""
    return [(f"└ {card.id}" if card.parent else card.id, card.id) for card in cards]


def chosen(cards: Sequence[Model], *wanted: object) -> str | None:
    """The first wanted name that is served, else the first model's; None without models. Pure."""
    names = [card.id for card in cards]
    return next((str(name) for name in wanted if name in names), next(iter(names), None))


@dataclass(slots=True)
class Backend:
    """`model`, `system` and `fields` apply unless the page says otherwise; `fields` are those of a request.

    `check` raises an error if a model in this process has died, which is why its requests fail then.
    """

    client: AsyncInferenceClient
    model: str | None = None
    system: str | None = None
    fields: Mapping[str, Any] = field(default_factory=dict)
    check: Callable[[], None] = lambda: None
    _cards: Sequence[Model] = ()

    @classmethod
    def connect(cls, base_url: str | None, api_key: str | None, **defaults: Any) -> Backend:
        """Without an address or a key, the environment's apply. Raises `ConfigError` for an address that is none."""
        if api_key is None:
            return cls(AsyncInferenceClient(base_url), **defaults)
        return cls(AsyncInferenceClient(base_url, api_key=api_key), **defaults)

    async def load_models(self) -> Sequence[Model]:
        """Asks the server: the base first, then its adapters. Raises `SDKError`."""
        self._cards = (await self.client.models()).data
        return self._cards

    def is_chat(self, name: str | None) -> bool:
        """Whether the model answers chats, as all do whose card does not say otherwise."""
        return all(card.is_chat is not False for card in self._cards if card.id == name)
