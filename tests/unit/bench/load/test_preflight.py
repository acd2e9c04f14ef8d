"""Before the load: each way in which a server is not what was asked for, and what is given up to measure it."""

from __future__ import annotations

import asyncio
import json
from collections.abc import Awaitable, Callable
from typing import Any

import pytest

from bench.load.plan import Limits
from bench.load.preflight import Model, TargetError, choose_kind, find_model, make_workload, negotiate
from bench.load.settings import LoadSettings
from bench.outcome import Outcome, status_outcome
from bench.records.record import Record
from bench.target import Target, Timeouts, read_address
from bench.workload.body import BodyForm, Features
from tests.support.wire import Peer, WireServer

CARDS = {"data": [{"id": "base", "is_chat": True, "max_model_len": 4096}, {"id": "my_tuner", "parent": "base"}]}


SECRET = "sk-not-to-be-shown-0123456789"


def ask(play: Callable[[Peer], None], question: Callable[[Target], Awaitable[Any]], api_key: str = "k") -> Any:
    async def main(url: str) -> Any:
        target = Target(read_address(url), api_key=api_key, timeouts=Timeouts())
        try:
            return await question(target)
        finally:
            await target.aclose()

    with WireServer(play) as server:
        return asyncio.run(main(server.url))


def models(body: Any, status: str = "200 OK") -> Callable[[Peer], None]:
    def play(peer: Peer) -> None:
        assert peer.read_request().startswith(b"GET /v1/models HTTP/1.1\r\n")
        peer.answer(body if isinstance(body, bytes) else json.dumps(body).encode(), status)

    return play


def test_the_first_model_is_measured_where_none_is_named() -> None:
    found = ask(models(CARDS), lambda target: find_model(target, None))
    assert found == Model("base", ["base", "my_tuner"], True, 4096)


def test_an_adapter_is_a_model() -> None:
    found = ask(models(CARDS), lambda target: find_model(target, "my_tuner"))
    assert (found.name, found.is_chat, found.max_model_len) == ("my_tuner", None, None)


def test_an_unknown_model_is_told_what_is_served_and_what_is_near() -> None:
    with pytest.raises(TargetError) as error:
        ask(models(CARDS), lambda target: find_model(target, "my-tuner"))
    assert str(error.value) == "model 'my-tuner' is not served here; served: base, my_tuner; did you mean my_tuner?"
    with pytest.raises(TargetError, match=r"served: base, my_tuner$"):
        ask(models(CARDS), lambda target: find_model(target, "qwen"))


@pytest.mark.parametrize("status", ["401 Unauthorized", "403 Forbidden"])
def test_a_wrong_key(status: str) -> None:
    with pytest.raises(TargetError, match=r"does not accept the API key .* give it with --api-key or OPENAI_API_KEY"):
        ask(models({"error": {"message": "bad key"}}, status), lambda target: find_model(target, None))


@pytest.mark.parametrize(
    ("body", "status"),
    [({"detail": "Not Found"}, "404 Not Found"), (b"<html>", "200 OK"), ({"data": []}, "200 OK"), ([], "200 OK")],
)
def test_a_server_without_a_list_of_models_needs_a_name(body: Any, status: str) -> None:
    with pytest.raises(TargetError, match=r"has no list of models .* name the model with --model"):
        ask(models(body, status), lambda target: find_model(target, None))
    assert ask(models(body, status), lambda target: find_model(target, "m")) == Model("m")


def test_a_page_that_quotes_the_key_is_shown_without_it() -> None:
    page = {"detail": f"Bearer {SECRET} is not a key of ours"}
    with pytest.raises(TargetError, match="has no list of models") as error:
        ask(models(page), lambda target: find_model(target, None), api_key=SECRET)
    assert "is not a key of ours" in str(error.value)
    assert SECRET not in str(error.value)


def test_nobody_there() -> None:
    with WireServer(lambda peer: None) as server:
        url = server.url
    target = Target(read_address(url), api_key=None, timeouts=Timeouts())
    with pytest.raises(TargetError) as error:
        asyncio.run(find_model(target, None))
    assert str(error.value) == (
        f"nothing answers at {url} (connection refused). Is the server running? "
        "Leave out --base-url to use the embedded server."
    )


def test_a_name_that_does_not_resolve() -> None:
    target = Target(read_address("http://nothing.invalid:1"), api_key=None, timeouts=Timeouts())
    with pytest.raises(TargetError, match=r"'nothing\.invalid' does not resolve\. Check the name in --base-url\."):
        asyncio.run(find_model(target, None))


def hang_up(peer: Peer) -> None:
    peer.read_request()


def test_who_closes_at_once_is_no_server_of_models() -> None:
    with pytest.raises(TargetError, match=r"does not answer as .* before any answer; does it speak https\?$"):
        ask(hang_up, lambda target: find_model(target, None))


def settings(**fields: Any) -> LoadSettings:
    return LoadSettings(**({"streams": 1, "limits": Limits(requests=1)} | fields))


@pytest.mark.parametrize(
    ("fields", "is_chat", "kind"),
    [
        ({}, None, "chat"),
        ({}, True, "chat"),
        ({}, False, "completions"),
        ({"endpoint": "chat"}, False, "chat"),
        ({"address": read_address("http://h/v1/completions")}, True, "completions"),
        ({"address": read_address("http://h", "/x/chat/completions")}, False, "chat"),
    ],
)
def test_chat_or_completions(fields: dict[str, Any], is_chat: bool | None, kind: str) -> None:
    assert choose_kind(settings(**fields), Model("m", is_chat=is_chat)) == kind


Probe = Callable[[BodyForm], Awaitable[Record]]


def server_taking(
    accepts: Callable[[Features], bool], *, status: int = 400, says: str = "no"
) -> tuple[Probe, list[Features]]:
    """A probe of a server that answers 400 unless the features suit it, and what it was asked."""
    asked: list[Features] = []

    async def probe(form: BodyForm) -> Record:
        asked.append(form.features)
        taken = accepts(form.features)
        return Record(
            request=-1,
            phase="warmup",
            slot=0,
            query=0,
            sched_ns=0,
            end_ns=0,
            status=200 if taken else status,
            outcome=Outcome.OK if taken else status_outcome(status),
            error=None if taken else f"HTTP {status}: {says}",
            completion_tokens=16 if form.features.usage else None,
            continuous_usage=form.features.continuous_usage,
        )

    return probe, asked


FORM = BodyForm("chat", "m", Features(), {})


@pytest.mark.parametrize(
    ("accepts", "refused", "requests"),
    [
        (lambda f: True, [], 1),
        (lambda f: not f.continuous_usage, ["continuous_usage_stats"], 2),
        (lambda f: not f.fixed_length, ["min_tokens, ignore_eos"], 3),
        (lambda f: not f.usage, ["stream_options"], 4),
        (
            lambda f: not f.continuous_usage and not f.fixed_length,
            ["continuous_usage_stats", "min_tokens, ignore_eos"],
            5,
        ),
    ],
)
def test_as_little_as_possible_is_given_up(
    accepts: Callable[[Features], bool], refused: list[str], requests: int
) -> None:
    probe, asked = server_taking(accepts)
    agreed = asyncio.run(negotiate(probe, FORM))
    assert agreed.refused == refused
    assert accepts(agreed.form.features)
    assert len(asked) == requests
    facts = agreed.facts()
    assert (facts.usage, facts.continuous_usage) == (agreed.form.features.usage, agreed.form.features.continuous_usage)


def test_what_the_refusal_names_is_tried_first() -> None:
    probe, asked = server_taking(lambda f: not f.fixed_length, says="extra field min_tokens")
    assert asyncio.run(negotiate(probe, FORM)).refused == ["min_tokens, ignore_eos"]
    assert len(asked) == 2


def test_a_refusal_of_everything_is_told_in_the_servers_first_words() -> None:
    probe, asked = server_taking(lambda f: False, says="the prompt is too long")
    with pytest.raises(TargetError, match="nothing was measured: HTTP 400: the prompt is too long") as error:
        asyncio.run(negotiate(probe, FORM))
    assert error.value.wrong_use
    assert len(asked) <= 8


@pytest.mark.parametrize(("status", "wrong_use"), [(401, True), (404, True), (503, False)])
def test_other_failures_are_not_argued_with(status: int, wrong_use: bool) -> None:
    probe, asked = server_taking(lambda f: False, status=status)
    with pytest.raises(TargetError) as error:
        asyncio.run(negotiate(probe, FORM))
    assert error.value.wrong_use is wrong_use
    assert len(asked) == 1


def tokenizing(count: Callable[[dict[str, Any]], int]) -> Callable[[Peer], None]:
    """vLLM's /tokenize."""

    def play(peer: Peer) -> None:
        while request := peer.read_request():
            head, _, body = request.partition(b"\r\n\r\n")
            assert head.startswith(b"POST /tokenize HTTP/1.1\r\n")
            tokens = count(json.loads(body))
            peer.answer(json.dumps({"count": tokens, "tokens": [0] * tokens, "max_model_len": 4096}).encode())

    return play


def words_and_template(body: dict[str, Any]) -> int:
    return 9 + len(body["messages"][0]["content"].split())


def test_synthetic_prompts_are_as_long_as_the_server_counts() -> None:
    wanted = settings(input_len=50)
    workload, notes = ask(
        tokenizing(words_and_template), lambda target: make_workload(wanted, target, Model("m"), "chat", "n")
    )
    assert notes == []
    lengths = {words_and_template({"messages": workload.prompt(n)[1].messages}) for n in range(40)}
    assert lengths == {50}
    assert workload.describe() == "synthetic prompts of 50 tokens"


def test_without_tokenize_they_are_marked_as_approximate() -> None:
    workload, notes = ask(
        lambda peer: peer.answer(b'{"detail":"Not Found"}', "404 Not Found") if peer.read_request() else None,
        lambda target: make_workload(settings(input_len=50), target, Model("m"), "completions", None),
    )
    assert "--input-len 50 is approximate" in notes[0]
    assert len(workload.prompt(0)[1].text.split()) == 50


def test_prompts_that_cannot_be_are_refused() -> None:
    with pytest.raises(TargetError, match="the chat template alone takes 9 tokens"):
        ask(
            tokenizing(words_and_template),
            lambda target: make_workload(settings(input_len=5), target, Model("m"), "chat", None),
        )
    with pytest.raises(TargetError, match="--input-len 4000 and --output-len 128 together exceed the 4096 tokens"):
        ask(
            tokenizing(words_and_template),
            lambda target: make_workload(
                settings(input_len=4000), target, Model("m", max_model_len=4096), "chat", None
            ),
        )
