"""The application without a server: answers of the router, and answers after a defect."""

from __future__ import annotations

import asyncio
from collections.abc import Sequence

import httpx
import pytest
from starlette.types import ASGIApp

from mock_server.app import create_app
from mock_server.engine.author.tokenizer import Tokenizer
from mock_server.engine.base import Delta, DeltaStream, GenerationParams
from mock_server.engine.kind import ServedModel
from mock_server.engine.sim.clock import RealClock
from mock_server.engine.sim.factories import make_simulated
from mock_server.engine.sim.options import SimulatedOptions
from mock_server.engine.sim.scripted import ScriptedEngine
from mock_server.settings import ServerSettings


def request(app: ASGIApp, method: str, path: str, json: object = None) -> httpx.Response:
    async def main() -> httpx.Response:
        transport = httpx.ASGITransport(app, raise_app_exceptions=False)
        async with httpx.AsyncClient(transport=transport, base_url="http://test") as client:
            return await client.request(method, path, json=json)

    return asyncio.run(main())


class BrokenStream:
    """Gives what it was given, then fails as only a defect does."""

    prompt_logprobs = None
    first_token_at = None

    def __init__(self, *batches: Sequence[Delta]) -> None:
        self._batches = list(batches)

    def scheduled(self, choice: int) -> None:
        return None

    def unread_tokens(self) -> dict[int, int]:
        return {}

    def __aiter__(self) -> DeltaStream:
        return self

    async def __anext__(self) -> Sequence[Delta]:
        return self._batches.pop(0)

    async def aclose(self) -> None:
        pass


class BrokenEngine(ScriptedEngine):
    def __init__(self, *batches: Sequence[Delta]) -> None:
        super().__init__(lambda request: iter(()), RealClock(), Tokenizer())
        self._batches = batches

    async def generate(
        self, prompt_token_ids: Sequence[int], params: GenerationParams, **who: str | None
    ) -> BrokenStream:  # type: ignore[override]
        return BrokenStream(*self._batches)


def test_every_route_that_needs_the_engine_answers_503_if_it_does_not_run() -> None:
    app = create_app(make_simulated(ServedModel("sim-chat"), SimulatedOptions()))  # its lifespan never begins
    for response in (request(app, "GET", "/health"), request(app, "POST", "/v1/completions", {"prompt": "a"})):
        assert response.status_code == 503
        assert response.headers["retry-after"] == "1"
        assert response.json()["error"]["code"] == "engine_unavailable"
    assert request(app, "GET", "/v1/models").status_code == 200


def test_a_defect_is_a_500_that_reveals_no_details() -> None:
    app = create_app(BrokenEngine())
    response = request(app, "POST", "/v1/completions", {"prompt": "a"})
    assert response.status_code == 500
    assert response.json()["error"] == {
        "message": "The server failed; its log has the details", "type": "server_error", "param": None, "code": None,
    }  # fmt: skip
    assert 'finished_reason="error",model_name="sim-chat"} 1.0' in request(app, "GET", "/metrics").text


def test_a_defect_after_the_headers_still_ends_the_stream_in_order() -> None:
    app = create_app(BrokenEngine([Delta(0, (104,), None)]))
    response = request(app, "POST", "/v1/completions", {"prompt": "a", "stream": True})
    token, error, done, rest = response.text.split("\n\n")
    assert '"text":"h"' in token
    assert "The server failed" in error
    assert (done, rest) == ("data: [DONE]", "")


def test_an_engine_that_ends_without_a_finish_reason_has_failed() -> None:
    class Ending(BrokenStream):
        async def __anext__(self) -> Sequence[Delta]:
            raise StopAsyncIteration

    class Engine(BrokenEngine):
        async def generate(self, *args: object, **kwargs: object) -> Ending:  # type: ignore[override]
            return Ending()

    response = request(create_app(Engine()), "POST", "/v1/completions", {"prompt": "a"})
    assert response.status_code == 500
    assert "without a finish reason" in response.json()["error"]["message"]


@pytest.mark.parametrize("path", ["/", "/v1", "/v1/models/", "/v1/chat"])
def test_unknown_paths_are_a_404(path: str) -> None:
    response = request(create_app(BrokenEngine()), "GET", path)
    assert response.status_code == 404
    assert set(response.json()["error"]) == {"message", "type", "param", "code"}


def test_two_applications_in_one_process_are_independent() -> None:
    one = create_app(BrokenEngine(), ServerSettings(model_names=("one",)))
    two = create_app(BrokenEngine(), ServerSettings(model_names=("two",), api_keys=("k",)))
    assert request(one, "GET", "/v1/models").json()["data"][0]["id"] == "one"
    assert request(two, "GET", "/v1/models").status_code == 401
