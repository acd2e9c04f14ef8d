"""Requests made up from the server's own description: none of them a 500, and no answer that is not described."""

from __future__ import annotations

import subprocess
from pathlib import Path

import pytest

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


def test_schemathesis_finds_nothing(tmp_path: Path) -> None:
    assert PROGRAM.exists(), "make test-slow installs it"
    with server_process("--profile", "instant", "--max-model-len", "200", "--image-tokens", "5") as server:
        command = [str(PROGRAM), "run", f"{server.root}/openapi.json", "--no-color",
                   "--checks", ",".join(CHECKS), "--max-examples", "100", "--seed", "1",
                   "--phases", "examples,coverage,fuzzing"]  # fmt: skip
        found = subprocess.run(command, capture_output=True, text=True, timeout=500, check=False, cwd=tmp_path)
        assert found.returncode == 0, found.stdout[-6000:] + found.stderr[-2000:]
