from __future__ import annotations

import subprocess
from pathlib import Path

import pytest

from tests.support.real_models import PYTHON, ROOT

pytestmark = pytest.mark.vllm

PROGRAM = Path(__file__).parent / "programs" / "cache_moves.py"


@pytest.mark.parametrize("seed", ["1", "2"])
def test_rows_keep_their_keys_and_values_whoever_joins_and_leaves(seed: str) -> None:
    command = [str(PYTHON), "-m", ".".join(PROGRAM.relative_to(ROOT).with_suffix("").parts), seed]
    assert subprocess.run(command, cwd=ROOT, capture_output=True, text=True, check=True).stdout == "150\n"
