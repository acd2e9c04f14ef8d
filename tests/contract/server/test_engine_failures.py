"""Whatever an engine raises, and whenever: the request ends, and the engine serves the other requests."""

from __future__ import annotations

import asyncio
import contextlib
import json
import threading
from collections.abc import Awaitable, Callable, Iterator, Sequence
from typing import Any

import httpx
import pytest

from mock_server.engine.author.prose import Author
from mock_server.engine.author.tokenizer import Tokenizer
from mock_server.engine.base import Delta
from mock_server.engine.errors import EngineError
from mock_server.engine.sim.clock import RealClock
from mock_server.engine.sim.scripted import ScriptedEngine, ScriptedRequest, TimedDelta
from mock_server.engine.sim.simulated import SimulatedEngine
from tests.contract.server.wire import COMPLETIONS, error_of, wait_until_idle
from tests.support.serving import QUICK, serving

TOKENIZER = Tokenizer()
Play = Callable[[], Iterator[TimedDelta]]

FAILURES = (
    ValueError("secret"),
    KeyError("secret"),
    RuntimeError("secret"),
    StopIteration("secret"),
    MemoryError("secret"),
    RecursionError("secret"),
    asyncio.CancelledError("secret"),
    SystemExit("secret"),
    GeneratorExit("secret"),
)


def token(at_s: float = 0.0, **changed: Any) -> TimedDelta:
    return TimedDelta(at_s, Delta(0, [65], None)._replace(**changed))


def raising_at_once(error: BaseException) -> Play:
    def play() -> Iterator[TimedDelta]:
        raise error

    return play


def raising_first(error: BaseException) -> Play:
    def play() -> Iterator[TimedDelta]:
        if error is not None:
            raise error
        yield token()

    return play


def raising_after_a_token(error: BaseException) -> Play:
    def play() -> Iterator[TimedDelta]:
        yield token()
        raise error

    return play


class Stage:
    """A scripted engine that plays the test's script; a request with another seed says "A" and ends."""

    def __init__(self) -> None:
        self.play: Play = list  # type: ignore[assignment]

    def script(self, request: ScriptedRequest) -> Iterator[TimedDelta]:
        return self.play() if request.params.seed == 1 else iter([token(finish_reason="length")])


@pytest.fixture(scope="module")
def stage() -> Stage:
    return Stage()


@pytest.fixture(scope="module")
def http(stage: Stage) -> Iterator[httpx.Client]:
    engine = ScriptedEngine(stage.script, RealClock(), TOKENIZER)
    with serving(engine) as served, httpx.Client(base_url=served.root, timeout=20) as client:
        yield client


def failure(http: httpx.Client, *, stream: bool) -> tuple[int, dict[str, Any], int]:
    """Status, error and number of events before it, for the request that plays the script."""
    response = http.post(COMPLETIONS, json={"prompt": "a", "seed": 1, "stream": stream})
    if response.status_code != 200:
        return response.status_code, error_of(response, response.status_code), 0
    *frames, error, done, rest = response.text.split("\n\n")
    assert (done, rest) == ("data: [DONE]", "")
    return 200, json.loads(error[6:])["error"], len(frames)


def check_others_are_served(http: httpx.Client) -> None:
    assert http.post(COMPLETIONS, json={"prompt": "a"}).json()["choices"][0]["text"] == "A"
    wait_until_idle(http)
    assert http.get("/load").json() == {"server_load": 0}


@pytest.mark.parametrize("error", FAILURES, ids=lambda error: type(error).__name__)
@pytest.mark.parametrize("raising", [raising_at_once, raising_first, raising_after_a_token])
@pytest.mark.parametrize("stream", [False, True], ids=["whole", "stream"])
def test_a_script_that_raises_fails_its_request_alone(
    http: httpx.Client, stage: Stage, raising: Callable[[BaseException], Play], error: BaseException, stream: bool
) -> None:
    stage.play = raising(error)
    status, found, before = failure(http, stream=stream)
    has_begun = stream and raising is raising_after_a_token
    assert (status, found["code"], before) == ((200, "engine_error", 1) if has_begun else (500, "engine_error", 0))
    assert type(error).__name__ in found["message"] or isinstance(error, (StopIteration, GeneratorExit))
    assert "secret" not in found["message"]
    check_others_are_served(http)


@pytest.mark.parametrize("stream", [False, True], ids=["whole", "stream"])
def test_the_message_of_an_engine_error_reaches_the_client(http: httpx.Client, stage: Stage, stream: bool) -> None:
    stage.play = raising_after_a_token(EngineError("out of memory"))
    assert failure(http, stream=stream)[1]["message"] == "out of memory"


@pytest.mark.parametrize(
    "plays",
    [
        [],
        [token()],
        [None],
        ["token"],
        [token(at_s=float("inf"))],
        [token(at_s=float("nan"))],
        [token(), token(choice=7)],
        [token(choice=-1)],
        [token(token_ids=None)],
        [token(token_ids=[10**9])],
        [token(token_ids=["A"])],
        [token(token_ids=[3.5], finish_reason="length")],
        [token(finish_reason="tired")],
        [token(), token(finish_reason="tired")],
    ],
    ids=str,
)
@pytest.mark.parametrize("stream", [False, True], ids=["whole", "stream"])
def test_a_script_that_yields_nonsense_fails_its_request_alone(
    http: httpx.Client, stage: Stage, plays: Sequence[Any], stream: bool
) -> None:
    stage.play = lambda: iter(plays)
    status, found, _ = failure(http, stream=stream)
    assert status in (200, 500)
    assert found["type"] == "server_error"
    check_others_are_served(http)


def test_deltas_after_the_end_are_not_part_of_the_answer(http: httpx.Client, stage: Stage) -> None:
    def play() -> Iterator[TimedDelta]:
        yield token(finish_reason="length")
        raise ValueError("nobody asked")

    stage.play = play
    for stream in (False, True):
        response = http.post(COMPLETIONS, json={"prompt": "a", "seed": 1, "stream": stream})
        assert response.status_code == 200
        assert "error" not in response.text
    check_others_are_served(http)


@pytest.mark.parametrize("stream", [False, True], ids=["whole", "stream"])
def test_a_script_that_does_not_end_is_closed_when_its_client_leaves(
    http: httpx.Client, stage: Stage, stream: bool
) -> None:
    ended: list[str] = []

    def play() -> Iterator[TimedDelta]:
        number = 0
        try:
            while True:
                yield token(at_s=number * 1e-3)
                number += 1
        finally:
            ended.append("closed")
            raise ValueError("even this")

    stage.play = play
    with pytest.raises(httpx.ReadTimeout):
        http.post(COMPLETIONS, json={"prompt": "a", "seed": 1}, timeout=0.3)
    wait_until_idle(http)
    assert ended == ["closed"]
    check_others_are_served(http)


class Stubborn(SimulatedEngine):
    """An engine whose author fails for the prompts that a test names."""

    def __init__(self, after: int) -> None:
        super().__init__(QUICK, RealClock(), BreakingAuthor(TOKENIZER, "sim-chat", after))


class BreakingAuthor(Author):
    def __init__(self, tokenizer: Tokenizer, model: str, after: int) -> None:
        super().__init__(tokenizer, model)
        self._after = after

    def tokens(self, prompt_token_ids: Sequence[int], *args: Any) -> list[Iterator[int]]:
        choices = super().tokens(prompt_token_ids, *args)
        if TOKENIZER.decode(prompt_token_ids) != "break":
            return choices
        if self._after < 0:
            raise KeyError("secret")
        *others, last = choices
        return [*others, self._broken(last)]

    def _broken(self, tokens: Iterator[int]) -> Iterator[int]:
        for _ in range(self._after):
            yield next(tokens)
        raise KeyError("secret")


@pytest.mark.parametrize("after", [-1, 0, 5], ids=["before it is taken", "at the first token", "in the middle"])
@pytest.mark.parametrize("stream", [False, True], ids=["whole", "stream"])
@pytest.mark.parametrize("count", [1, 3])
def test_a_simulated_request_that_fails_in_the_step_loop_fails_alone(after: int, stream: bool, count: int) -> None:
    with serving(Stubborn(after)) as served, httpx.Client(base_url=served.root, timeout=20) as http:
        body = {"max_tokens": 40, "ignore_eos": True}
        with http.stream(
            "POST", COMPLETIONS, json={"prompt": "go on", "stream": True, **body, "max_tokens": 2_000}
        ) as beside:
            received = beside.iter_text()
            first = next(received)
            response = http.post(COMPLETIONS, json={"prompt": "break", "n": count, "stream": stream, **body})
            if stream and (after > 0 or (after == 0 and count > 1)):  # other choices have begun
                *_, error, done, _ = response.text.split("\n\n")
                assert done == "data: [DONE]"
                found = json.loads(error[6:])["error"]
            else:
                found = error_of(response, 500)
            assert found["type"] == "server_error"
            assert "secret" not in found["message"]
            whole = first + "".join(received)
        assert whole.count('"finish_reason":"length"') == 1
        assert whole.endswith("data: [DONE]\n\n")
        state = wait_until_idle(http)
        assert (state["running"], state["waiting"]) == (0, 0)


class Endless:
    """A stream that yields a batch again and again, and calls `wait` before each."""

    prompt_logprobs = None
    first_token_at = None

    def __init__(self, wait: Callable[[], Awaitable[None]] | None, batch: Sequence[Delta]) -> None:
        self._wait = wait
        self._batch = batch

    def scheduled(self, choice: int) -> None:
        return None

    def unread_tokens(self) -> dict[int, int]:
        return {}

    def __aiter__(self) -> Endless:
        return self

    async def __anext__(self) -> Sequence[Delta]:
        if self._wait is not None:
            await self._wait()
        return self._batch

    async def aclose(self) -> None:
        pass


def endless_engine(
    wait: Callable[[], Awaitable[None]] | None, batch: Sequence[Delta] = (Delta(0, [65], None),)
) -> ScriptedEngine:
    class Engine(ScriptedEngine):
        async def generate(self, *args: Any, **kwargs: Any) -> Endless:  # type: ignore[override]
            return Endless(wait, batch)

    return Engine(lambda request: iter(()), RealClock(), TOKENIZER)


def leave_in_the_middle(http: httpx.Client, *, stream: bool) -> None:
    with (
        pytest.raises(httpx.ReadTimeout),
        http.stream("POST", COMPLETIONS, json={"prompt": "a", "stream": stream}, timeout=0.3) as response,
    ):
        for number, _ in enumerate(response.iter_raw()):
            if number > 3:
                raise httpx.ReadTimeout("seen enough")


def wait_until_nothing_is_under_way(http: httpx.Client) -> None:
    while http.get("/load", headers={"connection": "close"}).json() != {"server_load": 0}:
        pass


@pytest.mark.parametrize("stream", [False, True], ids=["whole", "stream"])
def test_an_engine_that_never_waits_does_not_block_other_requests(stream: bool) -> None:
    with serving(endless_engine(None)) as served, httpx.Client(base_url=served.root, timeout=20) as http:
        leave_in_the_middle(http, stream=stream)
        wait_until_nothing_is_under_way(http)
        assert http.get("/health").status_code == 200


@pytest.mark.parametrize("stream", [False, True], ids=["whole", "stream"])
def test_an_unexpected_exception_in_mid_answer_is_an_error_that_does_not_show_it(stream: bool) -> None:
    waits = iter([None, None])

    async def wait() -> None:
        if next(waits, "over") == "over":
            raise ValueError("secret")

    with serving(endless_engine(wait)) as served, httpx.Client(base_url=served.root, timeout=20) as http:
        status, found, before = failure(http, stream=stream)
    assert (status, before) == ((200, 2) if stream else (500, 0))
    assert found["type"] == "server_error"
    assert "secret" not in found["message"]


@pytest.mark.parametrize("stop", [None, "zzz"])
def test_deltas_after_the_end_in_the_same_batch_are_not_part_of_the_answer(stop: str | None) -> None:
    batch = [Delta(0, TOKENIZER.encode("good"), "length"), Delta(0, TOKENIZER.encode("wrong"), None)]
    body = {"prompt": "a", "stop": stop}
    with serving(endless_engine(None, batch)) as served, httpx.Client(base_url=served.root, timeout=20) as http:
        whole = http.post(COMPLETIONS, json=body).json()
        stream = http.post(COMPLETIONS, json={**body, "stream": True}).text
    assert whole["choices"][0]["text"] == "good"
    assert whole["usage"]["completion_tokens"] == len(TOKENIZER.encode("good"))
    assert "wrong" not in stream


@pytest.mark.parametrize("stream", [False, True], ids=["whole", "stream"])
def test_an_engine_that_cannot_be_cancelled_is_abandoned(stream: bool, caplog: pytest.LogCaptureFixture) -> None:
    is_released = threading.Event()

    async def wait() -> None:
        while not is_released.is_set():
            with contextlib.suppress(asyncio.CancelledError):
                await asyncio.sleep(0.05)

    with serving(endless_engine(wait)) as served, httpx.Client(base_url=served.root, timeout=20) as http:
        try:
            leave_in_the_middle(http, stream=stream)
            wait_until_nothing_is_under_way(http)
            assert "the engine does not end the request" in caplog.text
            assert http.get("/health").status_code == 200
        finally:
            is_released.set()
