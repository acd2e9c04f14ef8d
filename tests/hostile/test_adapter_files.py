"""Adapters in folders from others: each defect is a 400 or a 404 that reveals no path."""

from __future__ import annotations

import json
import os
import struct
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import httpx
import pytest

from mock_server.engine.author.prose import Author
from mock_server.engine.author.tokenizer import Tokenizer
from mock_server.engine.base import Adapter
from mock_server.engine.hf.adapter_files import AdapterFiles
from mock_server.engine.sim.clock import RealClock
from mock_server.engine.sim.scripted import ScriptedEngine, paced_script
from mock_server.settings import ServerSettings
from tests.support.checkpoints import write_base
from tests.support.serving import Serving, serving

GOOD = {"r": 8, "peft_type": "LORA"}
Make = Callable[[Path], None]


class CheckingEngine(ScriptedEngine):
    """Reads adapters as a real engine does."""

    base: Path

    async def add_adapter(self, adapter: Adapter) -> None:
        files = AdapterFiles.read(adapter)
        files.check_rank(64)
        files.check_base(str(self.base))
        await super().add_adapter(adapter)


@pytest.fixture(scope="module")
def served(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Serving]:
    author = Author(Tokenizer(), "sim-chat")
    script = paced_script(author, ttft_s=1e-3, itl_s=1e-3)
    engine = CheckingEngine(script, RealClock(), author.tokenizer, max_model_len=1000, author=author)
    engine.base = write_base(tmp_path_factory.mktemp("secret-base"))
    with serving(engine, ServerSettings(runtime_adapters=True)) as found:
        yield found


def config(content: Any) -> Make:
    def make(folder: Path) -> None:
        text = content if isinstance(content, bytes) else json.dumps(content).encode()
        (folder / "adapter_config.json").write_bytes(text)

    return make


def weights(content: bytes) -> Make:
    def make(folder: Path) -> None:
        config(GOOD)(folder)
        (folder / "adapter_model.safetensors").write_bytes(content)

    return make


def header(content: Any, length: int | None = None) -> Make:
    data = content if isinstance(content, bytes) else json.dumps(content).encode()
    return weights(struct.pack("<Q", len(data) if length is None else length) + data)


REFUSED: dict[str, Make] = {
    "not JSON": config(b"{"),
    "not UTF-8": config(b"\xff\xfe"),
    "a list": config([]),
    "deep": config(b'{"r":' + b"[" * 100_000 + b"]" * 100_000 + b"}"),
    "deep enough to show": config(b'{"r":' + b"[" * 900 + b"]" * 900 + b"}"),
    "a deep kind": config(b'{"r":8,"peft_type":' + b"[" * 900 + b"]" * 900 + b"}"),
    "huge": config(b" " * 20_000_000 + b"{}"),
    "a huge number": config(b'{"r": 1' + b"0" * 10_000 + b"}"),
    "a large number": config(b'{"r": 1' + b"0" * 4_000 + b"}"),
    "rank true": config({"r": True}),
    "rank text": config({"r": "8"}),
    "rank negative": config({"r": -8}),
    "rank not a number": config(b'{"r": NaN}'),
    "no rank": config({}),
    "rank pattern a list": config({"r": 8, "rank_pattern": [8]}),
    "rank pattern of text": config({"r": 8, "rank_pattern": {"a\x1b[2J": "x"}}),
    "rank too high": config({"r": 65}),
    "base a list": config({"r": 8, "base_model_name_or_path": ["/etc"]}),
    "kind with controls": config({"r": 8, "peft_type": "\x1b[2J" * 1000}),
    "weights empty": weights(b""),
    "weights short": weights(b"abc"),
    "header longer than the file": header({}, 10_000),
    "header of 2^64": header({}, 2**64 - 1),
    "header a list": header([]),
    "header not JSON": header(b"{"),
    "header deep": header(b"[" * 100_000 + b"]" * 100_000),
    "entry a number": header({"a": 1}),
    "no shape": header({"a": {"dtype": "F32"}}),
    "shape text": header({"a": {"shape": "ab"}}),
    "shape negative": header({"a": {"shape": [-1, 2]}}),
    "shape true": header({"a": {"shape": [True]}}),
    "shape huge": header(b'{"a": {"shape": [1' + b"0" * 4_000 + b"]}}"),
    "another base": header(
        {
            "base_model.model.model.layers.0.self_attn.q_proj.lora_A.weight": {"shape": [8, 12345]},
            "base_model.model.model.layers.0.self_attn.q_proj.lora_B.weight": {"shape": [12345, 8]},
        }
    ),
}


def load(served: Serving, path: str) -> httpx.Response:
    return httpx.post(f"{served.url}/load_lora_adapter", json={"lora_name": "x", "lora_path": path}, timeout=10)


@pytest.mark.parametrize("name", REFUSED)
def test_a_malformed_adapter_is_refused(served: Serving, tmp_path: Path, name: str) -> None:
    (tmp_path / "adapter_model.safetensors").write_bytes(struct.pack("<Q", 2) + b"{}")
    REFUSED[name](tmp_path)
    response = load(served, str(tmp_path))
    assert response.status_code == 400
    error = response.json()["error"]
    assert (error["code"], error["param"]) == ("adapter_refused", "lora_path")
    assert str(tmp_path) not in response.text
    assert "secret-base" not in response.text
    assert error["message"].isprintable()


def _pipe(folder: Path) -> str:
    os.mkfifo(folder / "adapter_config.json")
    return str(folder)


def _weights_pipe(folder: Path) -> str:
    config(GOOD)(folder)
    os.mkfifo(folder / "adapter_model.safetensors")
    return str(folder)


def _device(folder: Path) -> str:
    (folder / "adapter_config.json").symlink_to("/dev/zero")
    return str(folder)


def _weights_device(folder: Path) -> str:
    config(GOOD)(folder)
    (folder / "adapter_model.safetensors").symlink_to("/dev/zero")
    return str(folder)


def _loop(folder: Path) -> str:
    (folder / "loop").symlink_to(folder / "loop")
    return str(folder / "loop")


def _folder(folder: Path) -> str:
    (folder / "adapter_config.json").mkdir()
    return str(folder)


def _no_weights(folder: Path) -> str:
    config(GOOD)(folder)
    return str(folder)


NOT_THERE: dict[str, Callable[[Path], str]] = {
    "nothing": lambda folder: str(folder / "none"),
    "an empty folder": str,
    "a file": lambda folder: "/etc/passwd",
    "a device": lambda folder: "/dev/zero",
    "standard input": lambda folder: "/dev/stdin",
    "a null character": lambda folder: "/a\x00b",
    "a very long path": lambda folder: "/" + "a/" * 5_000,
    "a very long name": lambda folder: "a" * 5_000,
    "nobody's home": lambda folder: "~no-such-user/a",
    "a path up": lambda folder: "../../../../etc",
    "a pipe": _pipe,
    "a pipe of weights": _weights_pipe,
    "a device as configuration": _device,
    "a device as weights": _weights_device,
    "a loop of links": _loop,
    "a folder as configuration": _folder,
    "no weights": _no_weights,
}


def test_every_path_that_is_not_an_adapter_gets_the_same_answer(served: Serving, tmp_path: Path) -> None:
    answers = set()
    for number, make in enumerate(NOT_THERE.values()):
        folder = tmp_path / str(number)
        folder.mkdir()
        response = load(served, make(folder))
        answers.add((response.status_code, response.text))
    ((status, text),) = answers
    assert status == 404
    assert "adapter_not_found" in text
    assert str(tmp_path) not in text


def test_names_of_models_are_names_and_not_paths(served: Serving) -> None:
    for name in ("../../etc/passwd", "..%2f..%2fetc%2fpasswd", "%2e%2e/x", "a%00b", "%1b[2J", "a" * 10_000):
        response = httpx.get(f"{served.url}/models/{name}")
        assert response.status_code == 404
        assert response.text.isprintable()
