"""`transformers serve`: one answer at a time, no list of models, no `[DONE]`, and a 422 for fields it does not know."""

from __future__ import annotations

from pathlib import Path

import pytest

from tests.foreign.conftest import MODEL
from tests.foreign.measured import OUTPUT_LEN, assert_every_request_succeeded, assert_verdict_blames_only, measure

pytestmark = pytest.mark.foreign


def test_default_options_measure_transformers_serve(transformers_serve: str, tmp_path: Path) -> None:
    # it lists only what the hub's cache holds: the model has to be named
    run = measure(transformers_serve, tmp_path, "--model", str(MODEL))
    assert_every_request_succeeded(run)
    assert run.result["negotiated"]["fixed_length"] is False
    assert any("min_tokens" in note for note in run.result["notes"])
    assert all(row["completion_tokens"] <= OUTPUT_LEN for row in run.requests)
    # 64 streams wait for one answer at a time: there is hardly a moment at which all of them are open
    assert_verdict_blames_only(run, "steady_window", "concurrency")
