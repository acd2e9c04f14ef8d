"""Adapters that are loaded and unloaded while the server runs, in vLLM's form."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from pathlib import Path

import httpx
import pytest

from mock_server.settings import ServerSettings
from tests.contract.server.conftest import Facts
from tests.contract.server.wire import chat, chat_events, error_of, refused, texts
from tests.support.serving import Serving

LOAD, UNLOAD = "/v1/load_lora_adapter", "/v1/unload_lora_adapter"


@pytest.fixture
def late(http: httpx.Client, facts: Facts) -> Iterator[str]:
    """An adapter loaded for one test."""
    answer = http.post(LOAD, json={"lora_name": "late", "lora_path": facts.adapters[1].path})
    assert answer.status_code == 200, answer.text
    assert answer.text == "Success: LoRA adapter 'late' added successfully."
    yield "late"
    http.post(UNLOAD, json={"lora_name": "late"})


def test_an_adapter_loaded_at_run_time_is_served_like_any_other(http: httpx.Client, facts: Facts, late: str) -> None:
    cards = {card["id"]: card for card in http.get("/v1/models").json()["data"]}
    assert (cards[late]["parent"], cards[late]["root"]) == ("sim-chat", Path(facts.adapters[1].path).name)
    whole = chat(http, model=late, temperature=0)
    assert whole["model"] == late
    assert whole["choices"] != chat(http, temperature=0)["choices"]
    assert texts(chat_events(http, model=late, temperature=0))[0] == whole["choices"][0]["message"]["content"]


def test_an_unloaded_adapter_is_a_404(http: httpx.Client, late: str) -> None:
    gone = http.post(UNLOAD, json={"lora_name": late})
    assert gone.text == "Success: LoRA adapter 'late' removed successfully."
    error = refused(http, "/v1/chat/completions", {"model": late, "messages": [{"role": "user", "content": "hi"}]}, 404)
    assert error["code"] == "model_not_found"
    assert late not in [card["id"] for card in http.get("/v1/models").json()["data"]]
    assert "cannot be found" in refused(http, UNLOAD, {"lora_name": late}, 404)["message"]


def test_a_name_can_be_loaded_again_only_in_place(http: httpx.Client, facts: Facts, late: str) -> None:
    body = {"lora_name": late, "lora_path": facts.adapters[0].path}
    assert "already been loaded" in refused(http, LOAD, body)["message"]
    before = chat(http, model=late, temperature=0)["choices"]
    assert http.post(LOAD, json={**body, "load_inplace": True}).status_code == 200
    assert http.get(f"/v1/models/{late}").json()["root"] == Path(facts.adapters[0].path).name
    assert chat(http, model=late, temperature=0)["choices"] != before or facts.makes_sense


@pytest.mark.parametrize(
    ("body", "param"),
    [
        ({}, "lora_name"),
        ({"lora_name": ""}, "lora_name"),
        ({"lora_name": "a b", "lora_path": "/x"}, "lora_name"),
        ({"lora_name": "a\x1b[2Jb", "lora_path": "/x"}, "lora_name"),
        ({"lora_name": "a\x9bb", "lora_path": "/x"}, "lora_name"),
        ({"lora_name": "a\u202eb", "lora_path": "/x"}, "lora_name"),
        ({"lora_name": "a\u200bb", "lora_path": "/x"}, "lora_name"),
        ({"lora_name": "a\u3164b", "lora_path": "/x"}, "lora_name"),
        ({"lora_name": "a" * 257, "lora_path": "/x"}, "lora_name"),
        ({"lora_name": "x", "lora_path": 3}, "lora_path"),
    ],
)
def test_invalid_names_are_refused(http: httpx.Client, body: dict[str, object], param: str) -> None:
    assert refused(http, LOAD, body)["param"] == param


def test_the_base_models_name_is_taken(http: httpx.Client) -> None:
    error = refused(http, LOAD, {"lora_name": "sim-chat", "lora_path": "/x"}, 409)
    assert (error["param"], error["code"]) == ("lora_name", "name_taken")


def test_a_request_in_progress_keeps_its_adapter_to_the_end(http: httpx.Client, late: str) -> None:
    expected = chat(http, model=late, temperature=0, max_tokens=40, ignore_eos=True)["choices"][0]["message"]["content"]
    body = {
        "model": late, "messages": [{"role": "user", "content": "where is the capital of Zhejiang?"}],
        "temperature": 0, "max_tokens": 40, "ignore_eos": True, "stream": True,
    }  # fmt: skip
    with http.stream("POST", "/v1/chat/completions", json=body) as stream:
        lines = stream.iter_lines()
        received = [next(lines)]
        assert http.post(UNLOAD, json={"lora_name": late}).status_code == 200
        received += lines
    assert received[-2] == "data: [DONE]"
    chunks = [httpx.Response(200, text=line[6:]).json() for line in received[:-2] if line.startswith("data: ")]
    assert texts(chunks)[0] == expected


def test_adapters_are_fixed_unless_loading_is_switched_on(
    started: Callable[[ServerSettings], Serving], facts: Facts
) -> None:
    fixed = started(ServerSettings(model_names=("fixed",)))
    for path, body in ((LOAD, {"lora_name": "x", "lora_path": facts.adapters[0].path}), (UNLOAD, {"lora_name": "x"})):
        error = error_of(httpx.post(fixed.root + path, json=body), 403)
        assert error["code"] == "adapters_are_fixed"
        assert "--runtime-lora true" in error["message"]
