"""The page's model types, each started by its name on a tiny model of its architecture."""

from __future__ import annotations

import json
import os
import subprocess
from pathlib import Path
from typing import Any

import pytest

from tests.support.real_models import PYTHON, ROOT, VLLM_ENVIRONMENT, tiny_types

pytestmark = pytest.mark.vllm

PROGRAM = Path(__file__).parent / "programs" / "each_type.py"
HAS_AVX512 = "avx512f" in Path("/proc/cpuinfo").read_text()


@pytest.fixture(scope="module")
def found() -> dict[str, Any]:
    environment = {**os.environ, **VLLM_ENVIRONMENT, "PYTHONPATH": str(ROOT)}
    command = [str(PYTHON), str(PROGRAM), str(tiny_types())]
    done = subprocess.run(
        command, cwd=ROOT, env=environment, stdout=subprocess.PIPE, text=True, timeout=600, check=True
    )
    answers: dict[str, Any] = json.loads(done.stdout.splitlines()[-1])
    return answers


@pytest.mark.parametrize(
    ("name", "template"),
    [("qwen2-unpacked in bf16", "qwen"), ("llama in fp32", "llama"), ("yi in fp32", "chatml")],
)
def test_a_type_starts_on_its_architecture_and_chats_with_its_template(
    name: str, template: str, found: dict[str, Any]
) -> None:
    assert found[name]["template"] == template
    assert len(found[name]["answer"].split()) > 3


def test_the_first_qwen_is_refused_with_the_type_to_use_instead(found: dict[str, Any]) -> None:
    refused = found["qwen in fp32"]["refused"]
    assert "QWenLMHeadModel was supported in vLLM until v0.23.0" in refused
    assert refused.endswith("such as model_type='qwen1half-7b-chat' for the first Qwen.")


@pytest.mark.skipif(not HAS_AVX512, reason="vLLM runs weights of four bits on CPUs with AVX-512 alone")
def test_the_same_four_bit_weights_begin_alike_in_both_formats(found: dict[str, Any]) -> None:
    answers = [found[f"{name} in bf16"]["answer"].split() for name in ("qwen2-gptq", "qwen2-awq")]
    assert answers[0][0] == answers[1][0]
    assert all(len(words) > 3 for words in answers)


@pytest.mark.skipif(HAS_AVX512, reason="this CPU can run them")
@pytest.mark.parametrize("name", ["qwen2-gptq", "qwen2-awq"])
def test_four_bit_weights_are_refused_on_a_cpu_that_cannot_run_them(name: str, found: dict[str, Any]) -> None:
    assert "weights of four bits need AVX-512, which it lacks" in found[f"{name} in bf16"]["refused"]
