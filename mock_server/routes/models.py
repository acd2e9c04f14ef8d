"""GET /v1/models and /v1/models/{id}: the base model, followed by its adapters."""

from __future__ import annotations

from urllib.parse import unquote

from mock_server.answer.bodies import ModelList
from mock_server.http.exchange import AsgiExchange
from mock_server.routes.endpoint import Endpoint


class Models(Endpoint):
    async def handle(self, exchange: AsgiExchange) -> None:
        cards = ModelList(object="list", data=list(self.state.models.cards()))
        await exchange.send_json(200, cards.json_bytes())


class OneModel(Endpoint):
    async def handle(self, exchange: AsgiExchange) -> None:
        card = self.state.models.card(unquote(exchange.path_params["model_id"]))
        await exchange.send_json(200, card.json_bytes())
