"""The command line in the environment that has the libraries."""

from __future__ import annotations

import json
import os
import subprocess
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from tests.support.real_models import PYTHON, ROOT, VLLM_ENVIRONMENT

PROGRAMS = Path(__file__).parent / "programs"
KEEP = ROOT / "docs" / "examples" / "keep.jsonl"
LIMIT_S = 600


def environment(env: Mapping[str, str] = {}) -> dict[str, str]:
    return {**os.environ, **VLLM_ENVIRONMENT, "PYTHONPATH": str(ROOT), "PYTHONUNBUFFERED": "1", **env}


def command(*words: object) -> list[str]:
    return [str(PYTHON), "-m", "mock_server", *map(str, words)]


def run(*words: object, env: Mapping[str, str] = {}) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        command(*words), cwd=ROOT, env=environment(env), capture_output=True, text=True, timeout=LIMIT_S
    )


def done(*words: object, env: Mapping[str, str] = {}) -> str:
    """What a command printed that succeeded."""
    ended = run(*words, env=env)
    assert ended.returncode == 0, ended.stderr[-3000:]
    return ended.stdout


def result(program: str, *words: object) -> dict[str, Any]:
    """The JSON of a program's last line; its log goes to ours."""
    ended = subprocess.run(
        [str(PYTHON), str(PROGRAMS / program), *map(str, words)],
        cwd=ROOT, env=environment(), stdout=subprocess.PIPE, text=True, timeout=LIMIT_S, check=True,
    )  # fmt: skip
    found: dict[str, Any] = json.loads(ended.stdout.splitlines()[-1])
    return found
