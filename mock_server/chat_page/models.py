"""The models that the server offers: the base, then its adapters."""

from __future__ import annotations

from collections.abc import Sequence

from sdk import AsyncInferenceClient, Model


def choices(cards: Sequence[Model]) -> list[tuple[str, str]]:
    """Labels and names, adapters marked as such. Pure."""
    return [(f"└ {card.id}" if card.parent else card.id, card.id) for card in cards]


def chosen(cards: Sequence[Model], wanted: object) -> str | None:
    """The wanted name if it is served, else the first one; None without models. Pure."""
    names = [card.id for card in cards]
    return wanted if isinstance(wanted, str) and wanted in names else next(iter(names), None)


class ModelCards:
    """The cards as they were last loaded."""

    def __init__(self, client: AsyncInferenceClient) -> None:
        self._client = client
        self._cards: Sequence[Model] = ()

    async def load(self) -> Sequence[Model]:
        """Asks the server. Raises `SDKError`."""
        self._cards = (await self._client.models()).data
        return self._cards

    def is_chat(self, name: str | None) -> bool:
        """Whether the model answers chats, as all do whose card does not say otherwise."""
        return all(card.is_chat is not False for card in self._cards if card.id == name)
