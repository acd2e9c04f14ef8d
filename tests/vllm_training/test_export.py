"""`export` for real: what vLLM says with the result."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest

from tests.support.real_models import CACHE, tiny_model
from tests.vllm_training.cli import KEEP, done, result, run

pytestmark = pytest.mark.vllm

QUANTIZER = CACHE / "quantizer"
HAS_AVX512 = "avx512f" in Path("/proc/cpuinfo").read_text()


@pytest.fixture(scope="session")
def merged(tmp_path_factory: pytest.TempPathFactory) -> Path:
    target = tmp_path_factory.mktemp("merged") / "model"
    done("export", "--ckpt_dir", tiny_model() / "one", "--merge_lora", "true", "--output_dir", target)
    return target


@pytest.fixture(scope="session")
def quantized(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """By the command that the documentation names, in an environment that is kept."""
    done("export", "--install-quantizer", "--quantizer-dir", QUANTIZER)
    target = tmp_path_factory.mktemp("quantized") / "model"
    words = ("--quant_method", "gptq", "--dataset", f"{KEEP}#8", "--quantizer-dir", QUANTIZER, "--output_dir", target)
    printed = done("export", "--model_id_or_path", tiny_model() / "model", "--quant_bits", 4, *words)
    assert "calibrating with 8 rows" in printed
    return target


@pytest.fixture(scope="session")
def answers(merged: Path, quantized: Path) -> dict[str, Any]:
    tiny = tiny_model()
    return result("exported.py", tiny / "model", tiny / "one", merged, quantized)


def test_a_merged_model_is_whole(merged: Path) -> None:
    names = {file.name for file in merged.iterdir()}
    assert names == {
        "config.json", "generation_config.json", "model.safetensors", "tokenizer.json", "tokenizer_config.json",
        "chat_template.jinja",
    }  # fmt: skip
    assert json.loads((merged / "config.json").read_text())["dtype"] == "float32"
    base = tiny_model() / "model" / "generation_config.json"
    assert (merged / "generation_config.json").read_text() == base.read_text()


def test_a_merged_model_says_what_its_adapter_says_beside_the_base(answers: dict[str, Any]) -> None:
    assert answers["merged"] == answers["served"]
    assert len(set(answers["served"])) > 1


def test_four_bits_are_close_to_the_model_that_they_were_made_from(quantized: Path) -> None:
    config = json.loads((quantized / "config.json").read_text())["quantization_config"]
    assert config["config_groups"]["group_0"]["weights"]["num_bits"] == 4
    found = result("closeness.py", tiny_model() / "model", quantized)
    assert found["correlation"] > 0.9
    assert found["difference"] > 0


@pytest.mark.skipif(not HAS_AVX512, reason="vLLM runs weights of four bits on CPUs with AVX-512 alone")
def test_vllm_answers_in_four_bits(answers: dict[str, Any]) -> None:
    assert all(answers["quantized"])


@pytest.mark.skipif(HAS_AVX512, reason="this CPU can run them")
def test_vllm_recognises_the_four_bits_that_this_cpu_cannot_run(answers: dict[str, Any]) -> None:
    assert "weights of four bits need AVX-512" in answers["refused"]


def test_a_model_that_is_quantized_already_is_refused(quantized: Path) -> None:
    ended = run("export", "--model_id_or_path", quantized, "--quant_bits", 4, "--quant_method", "rtn")
    assert ended.returncode == 2
    assert "is quantized already" in ended.stderr
