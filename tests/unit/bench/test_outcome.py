"""Each stream ends in exactly one class, with words that tell what happened."""

from __future__ import annotations

import pytest

from bench.outcome import Outcome, judge, status_outcome
from tests.unit.bench.answer.test_events import chat, read, usage_only

DONE = b"[DONE]"
A, B = chat(content="a"), chat(content="b")
LOST = "the server closed the connection in the middle of the answer"


@pytest.mark.parametrize(
    ("payloads", "cut", "asked", "outcome", "words"),
    [
        ([A, chat(content="b", finish="stop"), DONE], None, None, Outcome.OK, None),
        ([A, chat(content="b", finish="stop")], None, None, Outcome.OK, None),  # a clean end will do
        ([A, chat(content="b", finish="stop"), DONE], LOST, None, Outcome.OK, None),  # lost after [DONE]
        ([A, chat(content="b", finish="length"), usage_only(2), DONE], None, 2, Outcome.OK, None),
        ([A, B], None, None, Outcome.TRUNCATED, "without a finish reason or [DONE] after 2 chunks"),
        ([A, B, DONE], None, None, Outcome.TRUNCATED, "[DONE] but no finish reason"),
        ([A, B], LOST, None, Outcome.TRUNCATED, "in the middle of the answer after 2 chunks"),
        ([chat(content="a", usage=7)], LOST, None, Outcome.TRUNCATED, "after 7 tokens"),
        ([A, chat(finish="stop")], LOST, None, Outcome.TRUNCATED, "before [DONE]"),
        ([chat(finish="stop"), DONE], None, None, Outcome.LENGTH_MISMATCH, "not a single token"),
        ([A, chat(finish="stop"), usage_only(1), DONE], None, 4, Outcome.LENGTH_MISMATCH, "1 token where 4"),
        ([A, chat(finish="abort"), DONE], None, None, Outcome.STREAM_ERROR, "'abort'"),
    ],
)
def test_judgement(
    payloads: list[bytes], cut: str | None, asked: int | None, outcome: Outcome, words: str | None
) -> None:
    found, said = judge(read(*payloads), cut=cut, asked_tokens=asked)
    assert found is outcome
    assert (said is None) == (words is None)
    assert words is None or words in str(said)


def test_a_length_that_nobody_tells_is_no_mismatch() -> None:
    assert judge(read(A, chat(finish="length"), DONE), cut=None, asked_tokens=128)[0] is Outcome.OK


def test_the_more_specific_status_class_wins() -> None:
    assert [status_outcome(s) for s in (400, 404, 422, 429, 500, 503)] == [
        Outcome.HTTP_4XX,
        Outcome.HTTP_4XX,
        Outcome.HTTP_4XX,
        Outcome.HTTP_429,
        Outcome.HTTP_5XX,
        Outcome.HTTP_5XX,
    ]


def test_neither_success_nor_giving_up_is_the_servers_failure() -> None:
    assert [outcome for outcome in Outcome if not outcome.is_failure] == [Outcome.OK, Outcome.CANCELLED]
