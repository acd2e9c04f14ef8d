from __future__ import annotations

import asyncio

from mock_server.chat_page.backend import Backend, choices, chosen
from mock_server.embedded.endpoint import Endpoint
from mock_server.engine.base import Adapter
from mock_server.settings import ServerSettings
from sdk import Model
from tests.support.serving import serving

CARDS = [Model(id="base"), Model(id="my_tuner", parent="base")]


def test_adapters_are_marked() -> None:
    assert choices(CARDS) == [("base", "base"), ("└ my_tuner", "my_tuner")]


def test_the_wanted_model_is_chosen_if_it_is_served() -> None:
    assert chosen(CARDS, "my_tuner", "base") == "my_tuner"
    assert chosen(CARDS, None, "my_tuner") == "my_tuner"
    assert chosen(CARDS, "gone") == "base"
    assert chosen([], "gone") is None


def test_models_are_those_of_the_server() -> None:
    settings = ServerSettings(api_keys=("k",), adapters=(Adapter("my_tuner", ""),), is_chat=False)
    with serving(settings=settings) as served:
        backend = Backend(Endpoint(served.url, "k", None))
        assert backend.is_chat("sim-chat")  # not known yet
        assert [card.id for card in asyncio.run(backend.load_models())] == ["sim-chat", "my_tuner"]
        assert not backend.is_chat("my_tuner")
        assert backend.is_chat(None)
