"""What a request asks for, and what is given up first when a server refuses it."""

from __future__ import annotations

from itertools import product

from bench.workload.body import OWNED_FIELDS, BodyForm, EndpointKind, Features, concessions
from bench.workload.datasets import Prompt

CHAT = Prompt(128, messages=[{"role": "user", "content": "hi"}])


def test_a_chat_request_asks_for_everything() -> None:
    assert BodyForm("chat", "m", Features(), {"temperature": 0}).build(CHAT) == {
        "model": "m",
        "messages": [{"role": "user", "content": "hi"}],
        "stream": True,
        "stream_options": {"include_usage": True, "continuous_usage_stats": True},
        "max_tokens": 128,
        "min_tokens": 128,
        "ignore_eos": True,
        "temperature": 0,
    }


def test_a_plain_request() -> None:
    plain = Features(continuous_usage=False, usage=False, fixed_length=False, length_field="max_completion_tokens")
    assert BodyForm("completions", "m", plain, {}).build(Prompt(5, text="Once")) == {
        "model": "m",
        "prompt": "Once",
        "stream": True,
        "max_completion_tokens": 5,
    }


def test_a_warm_up_is_cut_short_but_never_made_longer() -> None:
    form = BodyForm("chat", "m", Features(), {})
    assert form.build(CHAT, 16)["max_tokens"] == form.build(CHAT, 16)["min_tokens"] == 16
    assert form.build(CHAT, 1000)["max_tokens"] == 128


def names(features: Features, refusal: str) -> list[str]:
    return [name for name, _ in concessions(features, refusal)]


def test_the_part_that_the_refusal_names_is_left_out_first() -> None:
    assert names(Features(), "bad request") == ["continuous_usage_stats", "min_tokens, ignore_eos", "stream_options"]
    assert names(Features(), "unknown field ignore_eos")[0] == "min_tokens, ignore_eos"
    assert names(Features(), "stream_options is not supported")[0] == "stream_options"
    assert names(Features(), "use max_completion_tokens instead of max_tokens")[0] == "max_tokens"


def test_a_part_is_left_out_only_once() -> None:
    features = Features()
    while options := concessions(features, ""):
        features = options[0][1]
    assert features == Features(continuous_usage=False, usage=False, fixed_length=False)


def test_extra_body_must_not_set_any_field_that_the_bench_writes() -> None:
    kinds: tuple[EndpointKind, ...] = ("chat", "completions")
    switches = product(kinds, (True, False), (True, False), ("max_tokens", "max_completion_tokens"))
    written = {
        name
        for kind, on, stream, field in switches
        for name in BodyForm(kind, "m", Features(on, on, on, field), {}, stream).build(CHAT)
    }
    assert written <= set(OWNED_FIELDS)
