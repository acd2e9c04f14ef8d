"""The servers that others wrote, each as its own users start it, on a loopback port with a model made here."""

from __future__ import annotations

import contextlib
import shutil
import subprocess
from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager
from pathlib import Path

import pytest

from tests.support.server_program import server_program
from tests.support.vllm_server import ROOT

pytest.register_assert_rewrite("tests.foreign.measured")

MADE = ROOT / ".cache" / "foreign"
MODEL = MADE / "random"  # the checkpoint that transformers and vLLM serve
SLOTS = 8
SLOT_CONTEXT = 2048

StartAimock = Callable[[str], AbstractContextManager[str]]


def prepare(server: str) -> None:
    """Install it, unless that has been done."""
    subprocess.run([ROOT / "scripts" / "foreign.sh", server], check=True)


def address(port: int) -> str:
    return f"http://127.0.0.1:{port}"


@contextlib.contextmanager
def at_address(server: AbstractContextManager[int]) -> Iterator[str]:
    with server as port:
        yield address(port)


@pytest.fixture(scope="module")
def llama_cpp(tmp_path_factory: pytest.TempPathFactory) -> Iterator[str]:
    prepare("llama-cpp")
    program = Path(__file__).parent / "programs" / "llama_server.py"

    def command(port: int) -> list[str]:
        python, model = ROOT / ".venv-foreign" / "bin" / "python", MADE / "random.gguf"
        return [str(word) for word in (python, program, model, port, SLOTS, SLOTS * SLOT_CONTEXT)]

    with server_program("llama.cpp", command, tmp_path_factory.mktemp("llama_cpp") / "server.log") as port:
        yield address(port)


@pytest.fixture(scope="module")
def transformers_serve(tmp_path_factory: pytest.TempPathFactory) -> Iterator[str]:
    prepare("transformers")
    folder = tmp_path_factory.mktemp("transformers")
    # without a folder for its cache, its list of models is a 500; a second thread only slows so small a model
    settings = {"HF_HUB_OFFLINE": "1", "HF_HUB_CACHE": str(folder), "OMP_NUM_THREADS": "1"}

    def command(port: int) -> list[str]:
        program = ROOT / ".venv-vllm" / "bin" / "transformers"
        return [str(program), "serve", str(MODEL), "--host", "127.0.0.1", "--port", str(port)]

    with server_program("transformers serve", command, folder / "server.log", env=settings) as port:
        yield address(port)


@pytest.fixture(scope="module")
def vllm_serve(tmp_path_factory: pytest.TempPathFactory) -> Iterator[str]:
    prepare("vllm")

    def command(port: int) -> list[str]:
        return [str(ROOT / "scripts" / "vllm-serve.sh"), str(MODEL), "--port", str(port)]

    with server_program("vllm serve", command, tmp_path_factory.mktemp("vllm") / "server.log") as port:
        yield address(port)


@pytest.fixture(scope="module")
def start_aimock(tmp_path_factory: pytest.TempPathFactory) -> StartAimock:
    """Starts aimock with one of the files of answers beside its package.json."""
    prepare("aimock")
    folder = tmp_path_factory.mktemp("aimock")

    def start(answers: str) -> AbstractContextManager[str]:
        node = shutil.which("node") or ROOT / ".venv-foreign" / "bin" / "node"
        program = MADE / "aimock" / "node_modules" / "@copilotkit" / "aimock" / "dist" / "cli.js"
        file = Path(__file__).parent / "aimock" / answers

        def command(port: int) -> list[str]:
            options = ["--port", str(port), "--fixtures", str(file), "--log-level", "warn"]
            return [str(node), str(program), *options]

        return at_address(server_program("aimock", command, folder / f"{file.stem}.log"))

    return start
