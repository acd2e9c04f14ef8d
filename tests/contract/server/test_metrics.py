"""What the server counts, asked for as Prometheus asks: exact, however a request ends."""

from __future__ import annotations

import json
import re
from collections.abc import Callable, Iterator

import httpx
import pytest

from mock_server.engine.base import Delta
from mock_server.engine.clock import RealClock
from mock_server.engine.errors import EngineError
from mock_server.engine.scripted import ScriptedEngine, ScriptedRequest, TimedDelta
from mock_server.engine.tokenizer import Tokenizer
from mock_server.settings import Settings
from tests.contract.server.conftest import Facts
from tests.contract.server.wire import CHAT, COMPLETIONS, QUESTION, post, wait_until_idle, wait_until_running
from tests.support.serving import Serving, serving

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
            [name, *(labels[label] for label in ("finished_reason", "handler", "status") if label in labels)]
        )
        found[key] = found.get(key, 0.0) + float(sample["value"])
    return found


@pytest.fixture
def fresh(started: Callable[[Settings], Serving], facts: Facts) -> Iterator[httpx.Client]:
    """A server that nobody has asked anything."""
    if not facts.makes_sense:
        pytest.skip("vLLM counts for itself")
    with httpx.Client(base_url=started(Settings()).root, timeout=120) as http:
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
        "num_requests_running": 0,
        "num_requests_waiting": 0,
        "http_requests_total /v1/completions 200": 10,
    }.items():
        assert gained[name] == count, name
    ttft, decode, e2e = (
        gained[f"{name}_seconds_sum"] for name in ("time_to_first_token", "request_decode_time", "e2e_request_latency")
    )
    assert 0 < ttft + decode <= e2e
    assert gained["inter_token_latency_seconds_sum"] == pytest.approx(decode)


def test_choices_and_prompts_are_counted_each(fresh: httpx.Client) -> None:
    before = counts(fresh)
    body = {"prompt": [[7], [8, 9]], "n": 2, "max_tokens": 3, "ignore_eos": True}
    usage = fresh.post(COMPLETIONS, json=body).json()["usage"]
    after = counts(fresh)
    assert after["prompt_tokens_total"] - before["prompt_tokens_total"] == usage["prompt_tokens"] == 3
    assert after["generation_tokens_total"] - before["generation_tokens_total"] == usage["completion_tokens"] == 12
    assert after["request_success_total length"] - before["request_success_total length"] == 4
    assert after["request_params_n_sum"] - before["request_params_n_sum"] == 4  # two prompts, two choices each


def test_who_leaves_and_who_is_refused_are_told_apart(
    started: Callable[[Settings], Serving], fresh: httpx.Client, facts: Facts
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
