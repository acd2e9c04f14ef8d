"""Adapters beside their base: each answers in its own voice, alone and in one batch with the others."""

from __future__ import annotations

from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import httpx
import pytest

from tests.support.real_models import PYTHON, VLLM_ENVIRONMENT
from tests.support.serving import server_process
from tests.vllm_server.asking import FRANCE, PARIS, WHO, XIAO_HUANG, ask
from tests.vllm_server.conftest import CPU

pytestmark = pytest.mark.vllm

NAMES = ("smollm2", "default-lora", "my_tuner")
QUESTIONS = (WHO, FRANCE, "Name three primary colors.", "What is 2+2?")


@pytest.fixture(scope="module")
def alone(http: httpx.Client) -> dict[tuple[str, str], str]:
    """What each model answers when nothing else runs."""
    return {(name, question): ask(http, question, model=name) for name in NAMES for question in QUESTIONS}


def test_the_list_has_the_base_first(http: httpx.Client, adapters: Path) -> None:
    cards = http.get("/v1/models").json()["data"]
    assert [(card["id"], card["parent"]) for card in cards] == [
        ("smollm2", None), ("my_tuner", "smollm2"), ("default-lora", "smollm2"),
    ]  # fmt: skip
    assert cards[2]["root"] == "tuned"
    assert all(card["is_chat"] and card["max_model_len"] == 2048 for card in cards)


def test_the_adapter_knows_its_name_and_the_base_does_not(alone: dict[tuple[str, str], str]) -> None:
    assert alone["default-lora", WHO] == XIAO_HUANG
    assert "Xiao Huang" not in alone["smollm2", WHO]
    assert alone["smollm2", FRANCE] == alone["default-lora", FRANCE] == PARIS
    assert alone["my_tuner", WHO] not in (alone["smollm2", WHO], XIAO_HUANG, "")


def test_in_one_batch_each_says_what_it_says_alone(http: httpx.Client, alone: dict[tuple[str, str], str]) -> None:
    asked = [(name, question) for question in QUESTIONS for name in NAMES] * 2
    with ThreadPoolExecutor(len(asked)) as pool:
        answers = list(pool.map(lambda pair: ask(http, pair[1], model=pair[0]), asked))
    assert answers == [alone[pair] for pair in asked]


def test_an_adapter_can_be_loaded_while_others_answer(http: httpx.Client, adapters: Path, alone: object) -> None:
    body = {"lora_name": "again", "lora_path": str(adapters / "tuned")}
    with ThreadPoolExecutor(4) as pool:
        others = [pool.submit(ask, http, FRANCE, model="smollm2") for _ in range(3)]
        assert http.post("/v1/load_lora_adapter", json=body).status_code == 200
        assert ask(http, WHO, model="again") == XIAO_HUANG
        assert [other.result() for other in others] == [PARIS] * 3
    full = http.post("/v1/load_lora_adapter", json={**body, "lora_name": "one-more"})
    assert full.status_code == 400
    assert "--max-loras 4" in full.json()["error"]["message"]
    assert http.post("/v1/unload_lora_adapter", json={"lora_name": "again"}).status_code == 200
    assert ask(http, WHO, model="default-lora") == XIAO_HUANG


def test_a_name_given_again_finds_nothing_of_its_predecessor(http: httpx.Client, adapters: Path) -> None:
    """vLLM keeps what prompts have in common by the adapter's name."""
    long_question = f"{'Please think about it carefully. ' * 24}{WHO}"  # more than a block of the cache
    for folder in ("tuned", "random"):
        body = {"lora_name": "swapped", "lora_path": str(adapters / folder), "load_inplace": True}
        assert http.post("/v1/load_lora_adapter", json=body).status_code == 200
        same = {"tuned": "default-lora", "random": "my_tuner"}[folder]
        swapped, first = (ask(http, long_question, model=name, max_tokens=16) for name in ("swapped", same))
        assert swapped == first
    http.post("/v1/unload_lora_adapter", json={"lora_name": "swapped"})


@pytest.mark.parametrize(
    ("spoil", "says"),
    [
        ("missing", "there is no adapter at this path"),
        ("no weights", "there is no adapter at this path"),
        ("rank", "start it with --max-lora-rank 16"),
        ("other base", "belongs to another base model"),
    ],
)
def test_adapters_that_cannot_be_served_disturb_nobody(
    http: httpx.Client, adapters: Path, tmp_path: Path, spoil: str, says: str
) -> None:
    folder = tmp_path / "spoilt"
    if spoil != "missing":
        folder.mkdir()
        config = (adapters / "tuned" / "adapter_config.json").read_text()
        (folder / "adapter_config.json").write_text(config.replace('"r": 8', '"r": 9') if spoil == "rank" else config)
    if spoil == "rank":
        (folder / "adapter_model.safetensors").symlink_to(adapters / "tuned" / "adapter_model.safetensors")
    if spoil == "other base":
        data = (adapters / "tuned" / "adapter_model.safetensors").read_bytes()
        (folder / "adapter_model.safetensors").write_bytes(data.replace(b"layers.29.", b"layers.99."))
    answer = http.post("/v1/load_lora_adapter", json={"lora_name": "spoilt", "lora_path": str(folder)})
    assert answer.status_code == (404 if spoil in ("missing", "no weights") else 400)
    assert says in answer.json()["error"]["message"]
    assert ask(http, FRANCE) == PARIS


def test_the_merged_model_answers_as_the_adapter_does(alone: dict[tuple[str, str], str], adapters: Path) -> None:
    command = ("deploy", "--ckpt_dir", str(adapters / "merged"), *CPU)
    with (
        server_process(*command, env=VLLM_ENVIRONMENT, python=PYTHON) as merged,
        httpx.Client(base_url=merged.root, timeout=300) as http,
    ):
        assert [card["id"] for card in http.get("/v1/models").json()["data"]] == ["merged"]
        answers = {question: ask(http, question) for question in QUESTIONS}
    assert answers == {question: alone["default-lora", question] for question in QUESTIONS}
