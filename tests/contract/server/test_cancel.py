"""A disconnect frees the engine, streaming or not. A failure after the headers ends the stream in order."""

from __future__ import annotations

import json
from collections.abc import Iterator

import httpx
import pytest

from mock_server.engine.author.tokenizer import Tokenizer
from mock_server.engine.base import Delta
from mock_server.engine.errors import EngineDeadError, EngineError
from mock_server.engine.sim.clock import RealClock
from mock_server.engine.sim.scripted import ScriptedEngine, ScriptedRequest, TimedDelta
from tests.contract.server.conftest import Facts
from tests.contract.server.wire import QUESTION, chat, post, wait_until_idle, wait_until_running
from tests.support.serving import Serving, serving


@pytest.fixture
def endless(facts: Facts) -> dict[str, object]:
    """A request that only its client's leaving ends."""
    return {"messages": QUESTION, "max_tokens": facts.endless, "ignore_eos": True}


@pytest.mark.parametrize("n", [1, 3])
def test_a_disconnect_from_a_stream_frees_the_engine(
    server: Serving, http: httpx.Client, endless: dict[str, object], n: int, caplog: pytest.LogCaptureFixture
) -> None:
    connection = post(server.root, {**endless, "stream": True, "n": n})
    received = b""
    while b"data: " not in received:
        received += connection.recv(65536)
    wait_until_running(http, 1)
    connection.close()
    wait_until_idle(http)
    assert "does not end the request" not in caplog.text  # as where the work has to be given up


def test_a_disconnect_from_a_whole_answer_frees_the_engine(
    server: Serving, http: httpx.Client, endless: dict[str, object]
) -> None:
    connection = post(server.root, endless)
    wait_until_running(http, 1)
    connection.close()
    wait_until_idle(http)


def test_forty_clients_that_disconnect_together_leave_nothing_running(
    server: Serving, http: httpx.Client, endless: dict[str, object]
) -> None:
    connections = [post(server.root, {**endless, "stream": bool(number % 2)}) for number in range(40)]
    wait_until_running(http, 40)
    for connection in connections:
        connection.close()
    wait_until_idle(http)
    assert chat(http, max_tokens=10, ignore_eos=True)["usage"]["completion_tokens"] == 10


def test_a_stop_string_frees_the_engine_long_before_max_tokens(http: httpx.Client, facts: Facts) -> None:
    before = wait_until_idle(http)["generated_tokens"]
    chat(http, max_tokens=facts.endless, ignore_eos=True, stop=["e"])
    assert wait_until_idle(http)["generated_tokens"] - before < facts.endless / 4


def failing(error: EngineError, *, after: int) -> ScriptedEngine:
    def script(request: ScriptedRequest) -> Iterator[TimedDelta]:
        for _ in range(after):
            yield TimedDelta(0.0, Delta(0, [104], None))
        raise error

    return ScriptedEngine(script, RealClock(), Tokenizer())


@pytest.mark.parametrize(
    ("error", "status", "code"),
    [(EngineError("out of memory"), 500, "engine_error"), (EngineDeadError("gone"), 503, "engine_unavailable")],
)
@pytest.mark.parametrize("stream", [False, True])
def test_a_failure_before_the_headers_has_its_status(error: EngineError, status: int, code: str, stream: bool) -> None:
    with serving(failing(error, after=0)) as served:
        response = httpx.post(f"{served.url}/chat/completions", json={"messages": QUESTION, "stream": stream})
        assert response.status_code == status
        assert response.json()["error"]["code"] == code
        assert response.headers.get("retry-after") == ("1" if status == 503 else None)


def test_a_failure_after_the_headers_is_an_event_and_the_end() -> None:
    with serving(failing(EngineError("out of memory"), after=2)) as served:
        body = {"messages": QUESTION, "stream": True}
        response = httpx.post(f"{served.url}/chat/completions", json=body)
        assert response.status_code == 200
        *chunks, error, done = response.text.removesuffix("\n\n").split("\n\n")
        assert len(chunks) == 3  # the role and two tokens
        assert json.loads(error.removeprefix("data: "))["error"]["message"] == "out of memory"
        assert done == "data: [DONE]"
        whole = httpx.post(f"{served.url}/chat/completions", json={**body, "stream": False})
        assert (whole.status_code, whole.json()["error"]["code"]) == (500, "engine_error")
