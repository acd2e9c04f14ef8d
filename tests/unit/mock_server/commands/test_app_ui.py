from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).parent.parent.parent.parent.parent


def app_ui(*args: str, before: str = "") -> subprocess.CompletedProcess[str]:
    code = f"import sys\n{before}\nfrom mock_server.__main__ import main\nmain()"
    return subprocess.run(
        [sys.executable, "-c", code, "app-ui", *args], cwd=ROOT, capture_output=True, text=True, timeout=30
    )


@pytest.mark.parametrize(
    ("args", "told"),
    [
        (("--engine", "sim", "--share"), "Error: --share needs a service outside this machine, which this page does"),
        (("--engine", "sim", "--share", "true"), "Error: --share needs a service outside this machine"),
        (("--engine", "sim", "--root-path", "chat"), "Error: --root-path must begin with a slash, such as /chat"),
        ((), "Error: there is no model to talk to: name one with --model-type,"),
        (("--engine", "sim", "--server_prot", "1"), "Error: No such option '--server-prot'. (Did you mean"),
    ],
)
def test_wrong_use_is_told_in_a_line(args: tuple[str, ...], told: str) -> None:
    run = app_ui(*args, before="import os; os.environ.pop('OPENAI_BASE_URL', None)")
    assert run.returncode == 2
    assert told in run.stderr
    assert run.stdout == ""


def test_the_missing_extra_is_named() -> None:
    run = app_ui("--engine", "sim", "--share", "false", before="sys.modules['gradio'] = None")
    assert run.returncode == 1
    assert run.stderr.startswith("Error: the chat page needs gradio: pip install ")
    assert run.stderr.count("\n") == 1
    assert "[app]" in run.stderr


def test_the_help_has_an_example_and_loads_nothing_heavy() -> None:
    after = "import atexit; atexit.register(lambda: print('loaded', *sys.modules))"
    run = app_ui("--help", before=after)
    text, _, loaded = run.stdout.partition("loaded ")
    assert "app-ui --base-url http://127.0.0.1:8000" in text
    assert {"gradio", "fastapi", "uvicorn", "sdk", "torch", "transformers", "vllm", "rich"} & set(
        loaded.split()
    ) == set()


PRETEND = """
import types, importlib.machinery
sys.modules["gradio"] = types.ModuleType("gradio")
sys.modules["gradio"].__spec__ = importlib.machinery.ModuleSpec("gradio", None)
"""
"""Gradio seems to be installed: what is refused before it is imported does not need it."""


def test_names_of_ms_swift_are_understood() -> None:
    run = app_ui("--engine", "sim", "--server_name", "no such host", "--server_port", "0", before=PRETEND)
    assert run.stderr.startswith("Error: --host no such host is not an address of this machine: ")
    assert run.stderr.count("\n") == 1
