"""The server's metrics, requested as Prometheus does: exact, however a request ends."""

from __future__ import annotations

import json
import re
from collections.abc import Callable, Iterator
from contextlib import closing

import httpx
import pytest

from mock_server.engine.author.tokenizer import Tokenizer
from mock_server.engine.base import Delta
from mock_server.engine.errors import EngineError
from mock_server.engine.sim.clock import RealClock
from mock_server.engine.sim.cost_model import StepCosts
from mock_server.engine.sim.profiles import Profile
from mock_server.engine.sim.scripted import ScriptedEngine, ScriptedRequest, TimedDelta
from mock_server.settings import ServerSettings
from tests.contract.server.conftest import Facts
from tests.contract.server.test_tools import TOOLS
from tests.contract.server.wire import (
    CHAT,
    COMPLETIONS,
    QUESTION,
    chat,
    chat_events,
    post,
    wait_until_idle,
    wait_until_running,
)
from tests.support.serving import Serving, serving, simulated_engine

_SAMPLE = re.compile(r"^(?P<name>[a-z_:0-9]+)\{(?P<labels>[^}]*)\} (?P<value>\S+)$", re.MULTILINE)
_LABEL = re.compile(r'(\w+)="([^"]*)"')


def counts(http: httpx.Client) -> dict[str, float]:
    """Sums over everything but why and how a request ended; the last bucket of each histogram is left out."""
    answer = http.get("/metrics", headers={"connection": "close"})
    assert answer.status_code == 200
    assert answer.headers["content-type"].startswith("text/plain; version=0.0.4")
    found: dict[str, float] = {}
    for sample in _SAMPLE.finditer(answer.text):
        labels = dict(_LABEL.findall(sample["labels"]))
        name = sample["name"].removeprefix("vllm:")
        if "le" in labels:
            continue
        key = " ".join(
            [name, *(labels[label] for label in ("finished_reason", "reason", "handler", "status") if label in labels)]
        )
        found[key] = found.get(key, 0.0) + float(sample["value"])
    return found


@pytest.fixture
def fresh(started: Callable[[ServerSettings], Serving], facts: Facts) -> Iterator[httpx.Client]:
    """A server that nobody has asked anything."""
    if not facts.makes_sense:
        pytest.skip("vLLM counts for itself")
    with httpx.Client(base_url=started(ServerSettings()).root, timeout=120) as http:
        yield http


def test_ten_requests_are_counted_to_the_token(fresh: httpx.Client) -> None:
    before = counts(fresh)
    for number in range(10):
        body = {"prompt": [7, 8, 9], "max_tokens": 5, "ignore_eos": True, "stream": number % 2 == 0}
        assert fresh.post(COMPLETIONS, json=body).status_code == 200
    after = counts(fresh)
    gained = {key: value - before.get(key, 0.0) for key, value in after.items()}
    for name, count in {
        "prompt_tokens_total": 30,
        "generation_tokens_total": 50,
        "request_success_total length": 10,
        "request_success_total abort": 0,
        "time_to_first_token_seconds_count": 10,
        "inter_token_latency_seconds_count": 40,
        "request_time_per_output_token_seconds_count": 10,
        "e2e_request_latency_seconds_count": 10,
        "request_prompt_tokens_count": 10,
        "request_prompt_tokens_sum": 30,
        "request_generation_tokens_count": 10,
        "request_generation_tokens_sum": 50,
        "request_params_n_sum": 10,
        "request_params_max_tokens_sum": 50,
        "request_queue_time_seconds_count": 10,
        "request_prefill_time_seconds_count": 10,
        "request_decode_time_seconds_count": 10,
        "request_inference_time_seconds_count": 10,
        "num_requests_running": 0,
        "num_requests_waiting": 0,
        "http_requests_total /v1/completions 200": 10,
    }.items():
        assert gained[name] == count, name
    assert_times_add_up(gained)


def assert_times_add_up(gained: dict[str, float]) -> None:
    """Of requests that all came to their first token."""
    ttft, queue, prefill, decode, inference, e2e = (
        gained[f"{name}_seconds_sum"]
        for name in ("time_to_first_token", "request_queue_time", "request_prefill_time", "request_decode_time",
                     "request_inference_time", "e2e_request_latency")
    )  # fmt: skip
    assert 0 < ttft + decode <= e2e
    assert 0 < queue + prefill <= ttft
    assert inference == pytest.approx(prefill + decode)
    assert gained["inter_token_latency_seconds_sum"] == pytest.approx(decode)


ENDS: dict[str, tuple[str, dict[str, object]]] = {
    "end of sequence": ("stop", {"temperature": 0}),
    "stop string": ("stop", {"stop": ["e"]}),
    "length": ("length", {"max_tokens": 3, "ignore_eos": True}),
    "one token": ("length", {"max_tokens": 1}),
    "choices": ("length", {"max_tokens": 3, "ignore_eos": True, "n": 4}),
    "calls": ("stop", {"tools": TOOLS, "tool_choice": "required"}),
}


@pytest.mark.parametrize("stream", [False, True])
@pytest.mark.parametrize(("reason", "fields"), ENDS.values(), ids=ENDS)
def test_each_choice_is_counted_once_by_its_finish_reason(
    fresh: httpx.Client, reason: str, fields: dict[str, object], stream: bool
) -> None:
    before = counts(fresh)
    if stream:
        usage = chat_events(fresh, **fields, stream_options={"include_usage": True})[-1]["usage"]
    else:
        usage = chat(fresh, **fields)["usage"]
    gained = {key: value - before.get(key, 0.0) for key, value in counts(fresh).items()}
    choices = fields.get("n", 1)
    ended = {key.split()[1]: value for key, value in gained.items() if key.startswith("request_success") and value}
    assert ended == {reason: choices}
    assert gained["prompt_tokens_total"] == usage["prompt_tokens"]
    assert gained["generation_tokens_total"] == usage["completion_tokens"]
    assert gained["request_generation_tokens_sum"] == usage["completion_tokens"]
    for name in ("queue_time", "prefill_time", "decode_time", "inference_time"):
        assert gained[f"request_{name}_seconds_count"] == choices, name
    assert gained["e2e_request_latency_seconds_count"] == gained["time_to_first_token_seconds_count"] == choices
    assert gained["inter_token_latency_seconds_count"] == usage["completion_tokens"] - choices
    assert_times_add_up(gained)


def test_choices_and_prompts_are_counted_each(fresh: httpx.Client) -> None:
    before = counts(fresh)
    body = {"prompt": [[7], [8, 9]], "n": 2, "max_tokens": 3, "ignore_eos": True}
    usage = fresh.post(COMPLETIONS, json=body).json()["usage"]
    after = counts(fresh)
    assert after["prompt_tokens_total"] - before["prompt_tokens_total"] == usage["prompt_tokens"] == 3
    assert after["generation_tokens_total"] - before["generation_tokens_total"] == usage["completion_tokens"] == 12
    assert after["request_success_total length"] - before["request_success_total length"] == 4
    assert after["request_params_n_sum"] - before["request_params_n_sum"] == 4  # two prompts, two choices each


def test_disconnects_and_refusals_are_counted_separately(
    started: Callable[[ServerSettings], Serving], fresh: httpx.Client, facts: Facts
) -> None:
    before = counts(fresh)
    root = str(fresh.base_url).rstrip("/")
    for stream in (True, False):
        left = post(root, {"messages": QUESTION, "max_tokens": facts.endless, "ignore_eos": True, "stream": stream})
        wait_until_running(fresh, 1)
        left.close()
        wait_until_idle(fresh)
    assert fresh.post(CHAT, json={"messages": QUESTION, "temperature": 3}).status_code == 400
    assert fresh.post(COMPLETIONS, json={"prompt": "a", "stop": ["e"], "max_tokens": 500}).status_code == 200
    while (after := counts(fresh))["request_success_total abort"] < before["request_success_total abort"] + 2:
        pass
    gained = {key: value - before.get(key, 0.0) for key, value in after.items()}
    assert gained["request_success_total abort"] == 2
    assert gained["request_success_total stop"] == 1
    assert gained["http_requests_total /v1/chat/completions 499"] == 2
    assert gained["http_requests_total /v1/chat/completions 400"] == 1
    assert gained["request_generation_tokens_sum"] == gained["generation_tokens_total"]
    assert gained["request_queue_time_seconds_count"] == gained["e2e_request_latency_seconds_count"] == 3
    assert gained["request_prefill_time_seconds_count"] == gained["time_to_first_token_seconds_count"]


def test_a_scored_prompt_counts_as_prompt_tokens_without_generated_tokens(fresh: httpx.Client) -> None:
    before = counts(fresh)
    body = {"prompt": [[7], [8, 9]], "echo": True, "logprobs": 1, "max_tokens": 0}
    whole = fresh.post(COMPLETIONS, json=body).json()
    gained = {name: value - before.get(name, 0.0) for name, value in counts(fresh).items()}
    assert gained["prompt_tokens_total"] == whole["usage"]["prompt_tokens"] == 3
    assert gained["request_success_total length"] == 2
    assert gained["generation_tokens_total"] == gained["time_to_first_token_seconds_count"] == 0


def test_waiting_requests_are_counted_and_count_no_prompt_if_they_disconnect() -> None:
    profile = Profile("one at a time", "", StepCosts(base_s=0.2e-3), max_num_seqs=1)
    endless = {"messages": QUESTION, "max_tokens": 30_000, "ignore_eos": True, "stream": True}
    with serving(simulated_engine(profile)) as served, httpx.Client(base_url=served.root, timeout=60) as http:
        with closing(post(served.root, endless)):
            wait_until_running(http, 1)
            with closing(post(served.root, endless)):
                waiting = counted_once(http, "num_requests_waiting")
                assert (waiting["num_requests_running"], waiting["num_requests_waiting"]) == (1, 1)
                assert waiting["num_requests_waiting_by_reason capacity"] == 1
                assert waiting["num_requests_waiting_by_reason deferred"] == 0
            left = counted_once(http, "request_success_total abort")
            assert (left["num_requests_running"], left["num_requests_waiting"]) == (1, 0)
            assert left["e2e_request_latency_seconds_count"] == 1
            for name in ("queue", "prefill", "decode", "inference"):
                assert left[f"request_{name}_time_seconds_count"] == 0, name
            assert left["request_generation_tokens_sum"] == 0
            prompt_tokens = left["prompt_tokens_total"]  # the first one's alone
            short = post(served.root, {**endless, "max_tokens": 2})
            counted_once(http, "num_requests_waiting")
        with closing(short):
            after = counted_once(http, "request_success_total length")
        assert after["prompt_tokens_total"] == 2 * prompt_tokens > 0
        assert after["request_success_total abort"] == 2
        assert after["request_queue_time_seconds_count"] == 2
        assert after["request_queue_time_seconds_sum"] > left["request_queue_time_seconds_sum"]


def counted_once(http: httpx.Client, name: str) -> dict[str, float]:
    """The counts as soon as this one is not 0."""
    while not (found := counts(http))[name]:
        pass
    return found


def test_a_failed_request_is_an_error_and_not_a_finish() -> None:
    def script(request: ScriptedRequest) -> Iterator[TimedDelta]:
        yield TimedDelta(0.0, Delta(0, [104], None))
        raise EngineError("out of memory")

    with (
        serving(ScriptedEngine(script, RealClock(), Tokenizer())) as served,
        httpx.Client(base_url=served.root) as http,
    ):
        for stream in (True, False):
            answer = http.post(CHAT, json={"messages": QUESTION, "stream": stream})
            assert json.loads(answer.text.split("data: ")[-2] if stream else answer.text)["error"]
        after = counts(http)
        assert after["request_success_total error"] == 2
        assert after["http_requests_total /v1/chat/completions 500"] == 1
        assert after["generation_tokens_total"] == 2
