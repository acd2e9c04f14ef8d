"""Requests made up from the server's own description: none of them a 500, and no answer that is not described."""

from __future__ import annotations

import os
import subprocess
from collections.abc import Callable, Mapping
from pathlib import Path

import pytest

from tests.support.fuzzed_server import INSTANT, fuzzed_server
from tests.support.serving import ROOT, server_process

PROGRAM = ROOT / ".venv-fuzz" / "bin" / "schemathesis"

pytestmark = [pytest.mark.slow, pytest.mark.timeout(600)]

CHECKS = (
    "not_a_server_error",
    "status_code_conformance",
    "content_type_conformance",
    "response_schema_conformance",
    "response_headers_conformance",
)


def finds_nothing(root: str, folder: Path, examples: int, *options: str, env: Mapping[str, str] | None = None) -> None:
    assert PROGRAM.exists(), "make test-slow installs it"
    command = [str(PROGRAM), "run", f"{root}/openapi.json", "--no-color", "--checks", ",".join(CHECKS),
               "--max-examples", str(examples), "--seed", os.environ.get("FUZZ_SEED", "1"), *options]  # fmt: skip
    found = subprocess.run(
        command, capture_output=True, text=True, timeout=500, check=False, cwd=folder, env={**os.environ, **(env or {})}
    )
    assert found.returncode == 0, found.stdout[-6000:] + found.stderr[-2000:]


def test_schemathesis_finds_nothing(tmp_path: Path) -> None:
    with server_process("--profile", "instant", "--max-model-len", "200", "--image-tokens", "5") as server:
        finds_nothing(server.root, tmp_path, 100, "--phases", "examples,coverage,fuzzing")


def test_schemathesis_finds_nothing_by_hostile_values(
    tmp_path: Path, record_property: Callable[[str, object], None]
) -> None:
    env = {"SCHEMATHESIS_HOOKS": "tests.support.schemathesis_hooks", "PYTHONPATH": str(ROOT)}
    with fuzzed_server(INSTANT, tmp_path) as server:
        key = ("--header", f"authorization: Bearer {server.key}")

        def fuzz() -> None:
            finds_nothing(server.process.root, tmp_path, 50, "--phases", "fuzzing", "--mode", "positive", *key, env=env)

        server.stays_sound(fuzz, record_property)
