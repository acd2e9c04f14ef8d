from __future__ import annotations

import io
from pathlib import Path

import pytest

from mock_server.dataset.sample import Message, Sample
from mock_server.embedded.endpoint import Endpoint
from mock_server.engine.errors import EngineDeadError
from mock_server.infer.results_file import ResultsFile
from mock_server.infer.session import SessionError, ask, evaluate_rows
from mock_server.infer.terminal import Terminal
from tests.support.serving import scripted_engine, serving

LONG = "word " * 400


def dead() -> None:
    raise EngineDeadError("the engine has died; the reason is in the log above")


def test_rows_of_a_model_that_has_died_have_not_failed(tmp_path: Path) -> None:
    samples = [Sample((Message("user", text),), None, "f:1") for text in (LONG, LONG)]
    terminal = Terminal(io.StringIO(), io.StringIO(), {})
    with serving(scripted_engine(max_model_len=256)) as served, ResultsFile(tmp_path / "r.jsonl", {}) as results:
        endpoint = Endpoint(served.url, None, None, check=dead)
        with pytest.raises(SessionError, match="the model has died") as caught:
            evaluate_rows(endpoint, samples, results, 1, terminal)
        assert not caught.value.is_wrong_use
        assert not results.results


def test_what_the_user_can_change_is_told_apart_from_what_failed() -> None:
    terminal = Terminal(io.StringIO(), io.StringIO(), {})
    with serving(scripted_engine(max_model_len=256)) as served:
        for endpoint, question, is_wrong_use in (
            (Endpoint(served.url, None, "nobody"), "x", True),
            (Endpoint(served.url, None, None, request_fields={"temperature": -1}), "x", True),
            (Endpoint(served.url, None, None), LONG, False),
        ):
            with pytest.raises(SessionError) as caught:
                ask(endpoint, question, terminal)
            assert caught.value.is_wrong_use is is_wrong_use
            assert "\n" not in str(caught.value)
