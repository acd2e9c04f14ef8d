"""Adapters beside their base: each answers in its own voice, alone and in one batch with the others."""

from __future__ import annotations

import json
import shutil
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import httpx
import pytest

from tests.contract.server.wire import error_of, texts
from tests.support.real_models import PYTHON, VLLM_ENVIRONMENT
from tests.support.serving import ServerProcess, server_process
from tests.vllm_server.asking import FRANCE, PARIS, WHO, XIAO_HUANG, ask
from tests.vllm_server.conftest import CPU

pytestmark = pytest.mark.vllm

NAMES = ("smollm2", "default-lora", "my_tuner")
QUESTIONS = (WHO, FRANCE, "Name three primary colors.", "What is 2+2?")
Answers = dict[tuple[str, str], str]


@pytest.fixture(scope="module")
def alone(http: httpx.Client) -> Answers:
    """What each model answers when nothing else runs."""
    return {(name, question): ask(http, question, model=name) for name in NAMES for question in QUESTIONS}


def load(http: httpx.Client, name: str, folder: Path) -> httpx.Response:
    return http.post("/v1/load_lora_adapter", json={"lora_name": name, "lora_path": str(folder)})


def test_the_list_has_the_base_first(server: ServerProcess, http: httpx.Client) -> None:
    cards = http.get("/v1/models").json()["data"]
    assert [(card["id"], card["parent"]) for card in cards] == [
        ("smollm2", None), ("my_tuner", "smollm2"), ("default-lora", "smollm2"),
    ]  # fmt: skip
    assert " engine=transformers profile=" in server.ready_line
    assert server.ready_line.rstrip().endswith("-cpu-float32")


def test_each_answers_in_its_own_voice(alone: Answers) -> None:
    assert alone["default-lora", WHO] == XIAO_HUANG
    assert "Xiao Huang" not in alone["smollm2", WHO]
    assert alone["smollm2", FRANCE] == alone["default-lora", FRANCE] == PARIS
    assert alone["my_tuner", WHO] not in (alone["smollm2", WHO], XIAO_HUANG, "")


def test_in_one_batch_each_says_what_it_says_alone(http: httpx.Client, alone: Answers) -> None:
    asked = [(name, question) for question in QUESTIONS for name in NAMES]
    with ThreadPoolExecutor(len(asked)) as pool:
        answers = list(pool.map(lambda pair: ask(http, pair[1], model=pair[0]), asked))
    assert answers == [alone[pair] for pair in asked]


def test_vllm_says_the_same(alone: Answers, adapters: Path) -> None:
    command = (
        "deploy", "--ckpt_dir", str(adapters / "tuned"), "--infer_backend", "vllm", "--vllm_enable_lora", "true",
        "--lora_modules", f"my_tuner={adapters / 'random'}", "--vllm_max_lora_rank", "8", *CPU,
    )  # fmt: skip
    with (
        server_process(*command, env=VLLM_ENVIRONMENT, python=PYTHON) as vllm,
        httpx.Client(base_url=vllm.root, timeout=300) as http,
        ThreadPoolExecutor(len(alone)) as pool,
    ):
        answers = dict(zip(alone, pool.map(lambda pair: ask(http, pair[1], model=pair[0]), alone), strict=True))
    assert answers == alone


def test_an_adapter_comes_and_goes_while_others_answer(http: httpx.Client, adapters: Path) -> None:
    with ThreadPoolExecutor(4) as pool:
        others = [pool.submit(ask, http, FRANCE, model=name) for name in ("smollm2", "default-lora")]
        assert load(http, "again", adapters / "tuned").status_code == 200
        assert ask(http, WHO, model="again") == XIAO_HUANG
        assert http.post("/v1/unload_lora_adapter", json={"lora_name": "again"}).status_code == 200
        assert [other.result() for other in others] == [PARIS] * 2
    assert ask(http, WHO, model="default-lora") == XIAO_HUANG


def test_an_answer_under_way_keeps_its_adapter(http: httpx.Client, adapters: Path) -> None:
    assert load(http, "leaving", adapters / "tuned").status_code == 200
    body = {"model": "leaving", "messages": [{"role": "user", "content": WHO}], "temperature": 0, "stream": True}
    with http.stream("POST", "/v1/chat/completions", json=body) as response:
        lines = response.iter_lines()
        first = next(line for line in lines if '"content":"' in line)
        assert http.post("/v1/unload_lora_adapter", json={"lora_name": "leaving"}).status_code == 200
        events = [json.loads(line[6:]) for line in [first, *lines] if line.startswith("data: {")]
    assert texts(events)[0] == XIAO_HUANG


@pytest.mark.parametrize(
    ("spoil", "says"),
    [
        ("missing", "there is no adapter at this path"),
        ("rank", "peft refuses the adapter spoilt"),
        ("other base", "belongs to another base model"),
        ("dora", "uses DoRA, which cannot be served"),
        ("modules", "modules trained in full (modules_to_save), which cannot be served"),
    ],
)
def test_adapters_that_cannot_be_served_disturb_nobody(
    http: httpx.Client, adapters: Path, tmp_path: Path, spoil: str, says: str
) -> None:
    folder = tmp_path / "spoilt"
    if spoil != "missing":
        shutil.copytree(adapters / "tuned", folder)
        file = folder / "adapter_config.json"
        config = json.loads(file.read_text())
        config |= {"rank": {"r": 9}, "dora": {"use_dora": True}, "modules": {"modules_to_save": ["lm_head"]}}.get(
            spoil, {}
        )
        file.write_text(json.dumps(config))
    if spoil == "other base":
        weights = folder / "adapter_model.safetensors"
        weights.write_bytes(weights.read_bytes().replace(b"layers.29.", b"layers.99."))
    response = load(http, "spoilt", folder)
    assert says in error_of(response, 404 if spoil == "missing" else 400)["message"]
    assert ask(http, WHO, model="default-lora") == XIAO_HUANG
    assert ask(http, FRANCE) == PARIS
