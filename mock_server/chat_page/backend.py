"""The server that the page talks to, in this process or elsewhere: its client and its models."""

from __future__ import annotations

from collections.abc import Sequence

from mock_server.embedded.endpoint import Endpoint
from sdk import AsyncInferenceClient, Model


def choices(cards: Sequence[Model]) -> list[tuple[str, str]]:
    """Labels and names of models, adapters marked as such. Pure."""
    return [(f"└ {card.id}" if card.parent else card.id, card.id) for card in cards]


def chosen(cards: Sequence[Model], *wanted: object) -> str | None:
    """The first wanted name that is served, else the first model's; None without models. Pure."""
    names = [card.id for card in cards]
    return next((str(name) for name in wanted if name in names), next(iter(names), None))


class Backend:
    """Raises `ConfigError` for an address that is none."""

    def __init__(self, endpoint: Endpoint) -> None:
        self.endpoint = endpoint
        """Its model, system message and fields apply unless the page says otherwise."""
        self.client = AsyncInferenceClient(**endpoint.client_options())
        self._cards: Sequence[Model] = ()

    async def load_models(self) -> Sequence[Model]:
        """Asks the server: the base first, then its adapters. Raises `SDKError`."""
        self._cards = (await self.client.models()).data
        return self._cards

    def is_chat(self, name: str | None) -> bool:
        """Whether the model answers chats, as all do whose card does not say otherwise."""
        return all(card.is_chat is not False for card in self._cards if card.id == name)
