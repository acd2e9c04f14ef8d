"""The clients that people have: the page's curl bodies, the openai package, this project's SDK and its bench."""

from __future__ import annotations

import asyncio
import json
import os
import subprocess
from pathlib import Path

import openai
import pytest

from sdk import (
    AsyncInferenceClient,
    InferenceClient,
    ModelNotFoundError,
    XRequestConfig,
    get_model_list_client,
    inference_client,
)
from tests.support.real_models import PYTHON, ROOT, VLLM_ENVIRONMENT, tiny_model
from tests.support.serving import ServerProcess
from tests.vllm_server.asking import FRANCE, PARIS, WHO, XIAO_HUANG

pytestmark = pytest.mark.vllm


def curl(url: str, body: str) -> dict[str, object]:
    ended = subprocess.run(
        ["curl", "-sS", url, "-H", "Content-Type: application/json", "-d", body],
        capture_output=True, text=True, check=True, timeout=300,
    )  # fmt: skip
    answer: dict[str, object] = json.loads(ended.stdout)
    return answer


def test_the_pages_curl_bodies(server: ServerProcess) -> None:
    chat = curl(
        f"{server.url}/chat/completions",
        '{\n"model": "default-lora",\n"messages": [{"role": "user", "content": "who are you?"}],\n'
        '"max_tokens": 256,\n"temperature": 0\n}',
    )
    assert chat["choices"][0]["message"]["content"] == XIAO_HUANG  # type: ignore[index]
    completion = curl(
        f"{server.url}/completions",
        '{\n"model": "smollm2",\n"prompt": "浙江 -> 杭州\\n安徽 -> 合肥\\n四川 ->",\n"max_tokens": 32,\n'
        '"temperature": 0.1,\n"seed": 42\n}',
    )
    assert completion["usage"]["completion_tokens"] <= 32  # type: ignore[index]
    assert completion["choices"][0]["text"]  # type: ignore[index]


def test_the_openai_package(server: ServerProcess) -> None:
    with openai.OpenAI(api_key="EMPTY", base_url=server.url, timeout=300) as client:
        assert [model.id for model in client.models.list()] == ["smollm2", "my_tuner", "default-lora"]
        messages = [{"role": "user", "content": WHO}]
        asked = {"model": "default-lora", "messages": messages, "temperature": 0}
        whole = client.chat.completions.create(**asked)  # type: ignore[call-overload]
        stream = client.chat.completions.create(**asked, stream=True)  # type: ignore[call-overload]
        assert whole.choices[0].message.content == XIAO_HUANG
        assert "".join(chunk.choices[0].delta.content for chunk in stream) == XIAO_HUANG
        likely = client.chat.completions.create(**asked, logprobs=True, top_logprobs=2)  # type: ignore[call-overload]
        assert likely.choices[0].logprobs.content[0].top_logprobs[0].token == "I"
        with pytest.raises(openai.NotFoundError, match="Did you mean default-lora"):
            client.chat.completions.create(model="default_lora", messages=messages)  # type: ignore[arg-type]
        with pytest.raises(openai.BadRequestError) as refused:
            client.completions.create(
                model="smollm2", prompt="a", extra_body={"structured_outputs": {"regex": "("}}, stream=True
            )
        assert refused.value.status_code == 400


def test_the_sdk(server: ServerProcess) -> None:
    assert get_model_list_client(url=server.url).data[0].id == "smollm2"
    greedy = XRequestConfig(temperature=0, max_tokens=40)
    answer = inference_client("default-lora", WHO, request_config=greedy, url=server.url)
    assert answer.choices[0].message.content == XIAO_HUANG
    with InferenceClient(server.url) as client:
        with client.chat_stream("smollm2", FRANCE, config=greedy) as stream:
            assert "".join(chunk.choices[0].delta.content for chunk in stream) == PARIS
        with pytest.raises(ModelNotFoundError, match="smollm2, my_tuner, default-lora"):
            client.chat("nobody", FRANCE)

    async def together() -> list[str]:
        async with AsyncInferenceClient(server.url) as client:
            answers = await asyncio.gather(*(client.chat("smollm2", FRANCE, config=greedy) for _ in range(16)))
            return [answer.choices[0].message.content for answer in answers]

    assert asyncio.run(together()) == [PARIS] * 16


def test_the_bench_counts_what_the_server_counts(server: ServerProcess, tmp_path: Path) -> None:
    command = [
        str(PYTHON), "-m", "bench", "--base-url", server.url, "--concurrency", "4", "--num-requests", "8",
        "--output-len", "16", "--json", str(tmp_path / "result.json"), "--result-dir", str(tmp_path),
    ]  # fmt: skip
    environment = {**os.environ, **VLLM_ENVIRONMENT}
    ended = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, timeout=600, env=environment)
    assert ended.returncode == 0, ended.stdout + ended.stderr
    assert "8 ok" in ended.stdout
    assert "0 failed" in ended.stdout


def test_the_bench_starts_a_real_model_by_itself(tmp_path: Path) -> None:
    """And stops it: nothing of it is left when the bench has ended."""
    command = [
        str(PYTHON), "-m", "bench", "--engine", "vllm", "--model_id_or_path", str(tiny_model() / "model"),
        "--concurrency", "8", "--num-requests", "16", "--output-len", "16", "--result-dir", str(tmp_path),
        "--server-args", "--enforce-eager --dtype fp32 --max-model-len 2048 --kv-cache-memory-bytes 64M",
        "--json", str(tmp_path / "result.json"),
    ]  # fmt: skip
    environment = {**os.environ, **VLLM_ENVIRONMENT}
    ended = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, timeout=600, env=environment)
    assert ended.returncode == 0, ended.stdout + ended.stderr
    result = json.loads((tmp_path / "result.json").read_text())
    assert (result["counts"]["ok"], result["counts"]["output_tokens"]) == (16, 256)
    assert (result["target"]["model"], result["target"]["embedded"]) == ("model", True)
    assert result["target"]["profile"].endswith("-cpu-float32")


def test_the_bench_passes_on_why_a_model_cannot_be_served(tmp_path: Path) -> None:
    command = [str(PYTHON), "-m", "bench", "--engine", "vllm", "--model", str(tmp_path), "--result-dir", str(tmp_path)]
    ended = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, timeout=600)
    assert (ended.returncode, ended.stdout) == (2, "")
    assert "has no config.json: it does not contain a model in Hugging Face's format" in ended.stderr
