from __future__ import annotations

import httpx
import pytest

from tests.contract.server.wire import error_of
from tests.support.serving import Serving


def test_the_list_has_the_base_first_then_the_adapters(http: httpx.Client) -> None:
    models = http.get("/v1/models").json()
    assert models["object"] == "list"
    assert [(card["id"], card["parent"]) for card in models["data"]] == [
        ("sim-chat", None), ("org/sim-chat", None), ("default-lora", "sim-chat"), ("my_tuner", "sim-chat"),
    ]  # fmt: skip
    assert all(card["object"] == "model" and card["is_chat"] is True for card in models["data"])


@pytest.mark.parametrize("name", ["sim-chat", "org/sim-chat", "org%2Fsim-chat", "my_tuner"])
def test_one_model_is_retrieved_by_its_name_slashes_and_all(http: httpx.Client, name: str) -> None:
    card = http.get(f"/v1/models/{name}").json()
    assert card in http.get("/v1/models").json()["data"]
    assert card["id"] == name.replace("%2F", "/")


def test_an_unknown_model_is_not_found(http: httpx.Client) -> None:
    error = error_of(http.get("/v1/models/my-tuner"), 404)
    assert error["code"] == "model_not_found"
    assert "does not exist" in error["message"]


def test_a_base_model_says_so_on_its_card(base_server: Serving) -> None:
    cards = httpx.get(f"{base_server.url}/models").json()["data"]
    assert [(card["id"], card["is_chat"]) for card in cards] == [("sim-base", False)]


def test_health_version_and_unknown_routes(http: httpx.Client) -> None:
    health = http.get("/health")
    assert health.status_code == 200
    assert health.json()["status"] == "ok"
    assert set(http.get("/version").json()) == {"version"}
    assert "GET /v1/nothing" in error_of(http.get("/v1/nothing"), 404)["message"]
    wrong_method = http.get("/v1/chat/completions")
    assert "does not support GET" in error_of(wrong_method, 405)["message"]
    assert wrong_method.headers["allow"] == "POST"
