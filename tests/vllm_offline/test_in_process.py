"""Inference in process on a real vLLM: each program is a process of the environment that has it."""

from __future__ import annotations

import json
import os
import subprocess
from functools import cache
from pathlib import Path
from typing import Any

import pytest

from tests.support.real_models import BASE, PYTHON, ROOT, VLLM_ENVIRONMENT, small_adapters, tiny_model

pytestmark = pytest.mark.vllm

PROGRAMS = Path(__file__).parent / "programs"
LIMIT_S = 600
PARIS = "The capital of France is Paris."
XIAO_HUANG = "I am Xiao Huang, trained by ModelScope."


def run(*command: str) -> str:
    """What it printed; vLLM's log goes to ours."""
    environment = {**os.environ, **VLLM_ENVIRONMENT, "PYTHONPATH": str(ROOT)}
    ended = subprocess.run(
        [str(PYTHON), *command],
        cwd=ROOT,
        env=environment,
        stdout=subprocess.PIPE,
        text=True,
        timeout=LIMIT_S,
        check=True,
    )
    return ended.stdout


def said(program: str, *arguments: str) -> dict[str, list[str]]:
    """What a program of the page printed, by the word before the colon."""
    found: dict[str, list[str]] = {}
    for line in run(str(PROGRAMS / program), *arguments).splitlines():
        name, colon, rest = line.partition(": ")
        if colon:
            found.setdefault(name, []).append(rest)
    return found


@cache
def result(program: str, *arguments: str) -> dict[str, Any]:
    """The JSON of a program's last line."""
    lines = run(str(PROGRAMS / program), *arguments).splitlines()
    found: dict[str, Any] = json.loads(lines[-1])
    return found


def beside_the_server() -> dict[str, Any]:
    return result("beside_the_server.py", str(BASE))


@pytest.fixture(scope="module")
def splittable() -> Path:
    return tiny_model() / "splittable"


def test_the_pages_batch_and_stream() -> None:
    printed = said("page_batch_and_stream.py", str(BASE))
    assert printed["response"][1] == PARIS
    assert "Rome" in printed["response"][2]
    history = f"[['What is the capital of France?', '{PARIS}'], ['And of Italy?', '{printed['response'][2]}']]"
    assert printed["history"] == [history]
    assert all(
        "'num_prompt_tokens': " in info and "'samples/s': " in info and "'tokens/s': " in info
        for info in printed["generation_info"]
    )


def test_the_pages_merged_checkpoint() -> None:
    printed = said("page_batch_and_stream.py", str(small_adapters() / "merged"))
    assert printed["response"][:2] == [XIAO_HUANG, PARIS]


def test_the_pages_adapter_and_the_base_from_one_engine() -> None:
    with_adapter, without = said("page_lora.py", str(BASE), str(small_adapters() / "tuned"))["response"]
    assert with_adapter == XIAO_HUANG
    assert without
    assert "Xiao Huang" not in without


def test_it_says_what_the_server_says() -> None:
    found = beside_the_server()
    assert found["together"][0] == PARIS
    assert found["together"] == found["server"]
    assert found["attributes"] == ["float32", 2048, "smollm2-135m-instruct", "tokenizer"]


def test_rows_in_a_batch_say_what_they_say_alone_streamed_and_in_a_running_loop() -> None:
    found = beside_the_server()
    assert found["alone"] == found["together"]
    assert found["streamed"] == found["together"]
    assert found["in_a_loop"] == found["together"]


def test_the_six_figures_are_those_of_the_tokenizer_and_a_clock() -> None:
    found = beside_the_server()
    info, first = found["info"], found["first_four"]
    assert first["num_prompt_tokens"] == found["prompt_tokens"]
    assert first["num_generated_tokens"] == found["generated_tokens"]
    assert info["num_samples"] == 5
    assert 0 < info["runtime"] <= found["clock_s"]
    assert info["samples/s"] == pytest.approx(5 / info["runtime"])
    assert info["tokens/s"] == pytest.approx(info["num_generated_tokens"] / info["runtime"])


def test_breaking_off_frees_vllm() -> None:
    found = beside_the_server()
    assert found["running_before"] == 3
    assert found["began"] >= 1
    assert found["running_after"] == 0


def test_ctrl_c_breaks_off_a_call_and_not_vllm() -> None:
    found = result("ctrl_c.py", str(BASE))
    assert found["interrupted"]
    assert found["after"] == found["before"]


def test_ctrl_c_while_the_engine_starts_ends_vllm_and_not_the_program_s_own_workers() -> None:
    found = result("start_broken_off.py", str(BASE))
    assert found == {"interrupted": True, "worker lives": True, "left": 1}


def test_log_probabilities_come_with_greedy_tokens_the_likeliest() -> None:
    positions = beside_the_server()["logprobs"]
    assert len(positions) == 3
    assert all(chosen == likeliest <= 0 for chosen, likeliest in positions)


def test_two_ranks_say_what_one_says(splittable: Path) -> None:
    found = result("two_ranks.py", str(splittable))
    assert len(set(found["ranks_1"])) > 1
    assert found["ranks_2"] == found["ranks_1"]


def test_two_thousand_rows_take_little_memory(splittable: Path) -> None:
    found = result("two_ranks.py", str(splittable))
    assert found["num_many"] == 2000
    assert found["grown_mib"] < 200


def test_a_start_that_fails_says_why_in_keywords(splittable: Path) -> None:
    refused = result("two_ranks.py", str(splittable))["refused"]
    assert refused.startswith(f"vLLM cannot serve {splittable}: ")
    assert "max_model_len" in refused
    assert "--" not in refused
