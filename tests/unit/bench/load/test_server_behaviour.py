"""What a server honours is found out before the load, said in one line, and the load is planned by it."""

from __future__ import annotations

import asyncio
import json
from typing import Any

import pytest

from bench.load.driver import WARMUP_TOKENS
from bench.load.plan import Limits
from bench.load.preflight import Agreement
from bench.load.server_behaviour import Length, ServerBehaviour, drop_length, observe, settle_length, short_prompt
from bench.load.settings import LoadSettings
from bench.outcome import Outcome
from bench.records.record import WARMUP, Record
from bench.workload.body import BodyForm, Features
from bench.workload.datasets import Prompt
from tests.unit.bench.rows import row
from tests.unit.bench.runs import run
from tests.unit.bench.test_summary import result_of

FORM = BodyForm("chat", "m", Features(), {})


def answer(
    tokens: int | None = WARMUP_TOKENS,
    *,
    events: int | None = None,
    finish: str | None = "length",
    opened: bool = False,
    asked: int | None = WARMUP_TOKENS,
    outcome: Outcome = Outcome.OK,
) -> Record:
    return Record(
        request=-1,
        phase=WARMUP,
        sched_ns=0,
        end_ns=0,
        outcome=outcome,
        completion_tokens=tokens,
        events=(tokens or 0) if events is None else events,
        finish_reason=finish,
        opened=opened,
        asked_tokens=asked,
    )


def observed(
    first: Record, *others: Record, form: BodyForm = FORM
) -> tuple[Agreement, ServerBehaviour, list[BodyForm]]:
    """What is made of the first answer, and those to what is asked then."""
    asked: list[BodyForm] = []
    left = list(others)

    async def ask(form: BodyForm, prompt: Prompt) -> Record:
        asked.append(form)
        assert "one word" in json.dumps(prompt.messages)
        return left.pop(0)

    agreed, behaviour = asyncio.run(observe(ask, Agreement(form, [], first)))
    assert left == []
    return agreed, behaviour, asked


def test_a_server_that_honours_everything() -> None:
    agreed, behaviour, asked = observed(answer(opened=True), answer())
    assert behaviour == ServerBehaviour(keeps_length=True, keeps_connections=True)
    assert agreed.form == FORM
    assert asked == [FORM]


@pytest.mark.parametrize(
    ("first", "second", "wrong"),
    [
        (answer(16), answer(3, finish="stop"), Length(16, 3, "stop")),
        (answer(20, finish="stop"), answer(16), Length(16, 20, "stop")),
        (answer(5, finish="stop", asked=8), answer(16), Length(8, 5, "stop")),
        # without usage: too many events, or too few of an answer that ended by itself
        (answer(None, events=16), answer(None, events=3, finish="stop"), Length(16, 3, "stop")),
        (answer(None, events=20, finish="stop"), answer(None, events=16), Length(16, 20, "stop")),
    ],
)
def test_an_answer_of_another_length_is_noticed(first: Record, second: Record, wrong: Length) -> None:
    again = answer(wrong.got, finish=wrong.finish_reason)
    _, behaviour, _ = observed(first, second, *([again] if wrong.got > wrong.asked else []))
    assert behaviour.keeps_length is False
    assert behaviour.wrong_length == wrong


@pytest.mark.parametrize(
    ("first", "second", "keeps"),
    [
        (answer(16), answer(16), True),
        (answer(8, asked=8), answer(16), True),
        (answer(None, events=16), answer(None, events=16), True),
        # several tokens an event, and no usage: nothing tells
        (answer(None, events=4), answer(None, events=4), None),
        (answer(None, events=0, outcome=Outcome.HTTP_5XX), answer(None, events=4), None),
    ],
)
def test_an_answer_that_may_have_the_length_counts_as_kept(first: Record, second: Record, keeps: bool | None) -> None:
    _, behaviour, _ = observed(first, second)
    assert behaviour.keeps_length is keeps
    assert behaviour.wrong_length is None


def test_closed_connections_are_noticed() -> None:
    assert observed(answer(opened=True), answer(opened=True))[1].keeps_connections is False
    assert observed(answer(), answer(outcome=Outcome.TRUNCATED))[1].keeps_connections is None


def test_the_other_name_of_the_length_field_is_used_if_the_server_honours_only_that() -> None:
    agreed, behaviour, asked = observed(answer(200, finish="stop"), answer(200, finish="stop"), answer(16))
    assert agreed.form.features.length_field == "max_completion_tokens"
    assert behaviour.keeps_length is True
    assert asked == [FORM, agreed.form]


def test_the_first_name_of_the_length_field_is_used_if_the_server_honours_neither() -> None:
    long = answer(200, finish="stop")
    agreed, behaviour, _ = observed(long, long, long)
    assert agreed.form == FORM
    assert behaviour.wrong_length == Length(16, 200, "stop")


def test_a_rejected_length_is_not_checked() -> None:
    refused = BodyForm("chat", "m", Features(fixed_length=False), {})
    _, behaviour, _ = observed(answer(3, finish="stop", asked=None), answer(3, finish="stop", asked=None), form=refused)
    assert behaviour == ServerBehaviour(keeps_length=None, keeps_connections=True)


def settings(**fields: Any) -> LoadSettings:
    return LoadSettings(**({"streams": 1, "limits": Limits(requests=1)} | fields))


WRONG = ServerBehaviour(False, True, Length(16, 20, "stop"))
SAID = "the server does not keep the requested length (asked for 16 tokens, it sent 20, finish reason 'stop')"


def test_another_length_is_a_failure_only_if_a_length_was_requested() -> None:
    refused = BodyForm("chat", "m", Features(fixed_length=False), {})
    assert settle_length(settings(), FORM, ServerBehaviour(True, True)) == (False, [])
    assert settle_length(settings(fixed_length=True), FORM, ServerBehaviour(True, True)) == (True, [])
    assert settle_length(settings(fixed_length=True), FORM, ServerBehaviour()) == (True, [])
    assert settle_length(settings(fixed_length=False), refused, ServerBehaviour()) == (False, [])
    exact, notes = settle_length(settings(), refused, ServerBehaviour())
    assert not exact
    assert notes == ["the server rejects min_tokens and ignore_eos: the model decides how long answers are"]
    exact, notes = settle_length(settings(fixed_length=True), refused, ServerBehaviour())
    assert exact
    assert "count as length_mismatch" in notes[0]
    assert settle_length(settings(), FORM, WRONG) == (False, [f"{SAID}: the model decides how long answers are"])
    exact, notes = settle_length(settings(fixed_length=True), FORM, WRONG)
    assert exact
    assert notes[0].startswith(f"{SAID}: answers of another length count as length_mismatch; use --no-ignore-eos")


def test_fields_that_are_ignored_are_left_out_unless_the_length_is_required() -> None:
    agreed = Agreement(FORM, [], answer())
    assert drop_length(agreed, ServerBehaviour(True, True), required=False) is agreed
    assert drop_length(agreed, WRONG, required=True) is agreed
    assert not drop_length(agreed, WRONG, required=False).form.features.fixed_length


def test_the_short_question_suits_the_endpoint() -> None:
    assert short_prompt("chat").messages
    assert short_prompt("completions").text
    assert {short_prompt("chat").output_len, short_prompt("completions").output_len} == {WARMUP_TOKENS}


def answers(*, length: int | None, took: int = 100, required: bool = False) -> Any:
    rows = [row(n, n * took, [n * took + 10, n * took + took], tokens=[3, 4], asked_tokens=length) for n in range(10)]
    return result_of(run(load={"length_required": required}), *rows)


def test_answers_of_another_length_are_reported_if_no_length_was_requested() -> None:
    result = answers(length=128)
    assert result.counts.ok == 10
    assert result.verdict.level == "trusted"
    assert not result.load.fixed_length
    assert result.negotiated.keeps_length is False
    (note,) = result.notes
    assert note.startswith("10 of 10 answers were not as long as requested, despite min_tokens")
    assert "(median 7 tokens, not 128)" in note
    for same in (answers(length=7), answers(length=None), answers(length=128, required=True)):
        assert same.notes == []
        assert same.load.fixed_length
