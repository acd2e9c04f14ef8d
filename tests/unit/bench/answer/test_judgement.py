"""Each stream ends in exactly one class, and the message states what happened."""

from __future__ import annotations

import pytest

from bench.answer.judgement import judge_stream
from bench.outcome import Outcome
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
        ([chat(finish="stop"), DONE], None, None, Outcome.LENGTH_MISMATCH, "no token"),
        ([A, chat(finish="stop"), usage_only(1), DONE], None, 4, Outcome.LENGTH_MISMATCH, "1 token where 4"),
        ([A, chat(finish="abort"), DONE], None, None, Outcome.STREAM_ERROR, "'abort'"),
    ],
)
def test_a_stream_ends_in_one_class(
    payloads: list[bytes], cut: str | None, asked: int | None, outcome: Outcome, words: str | None
) -> None:
    found, said = judge_stream(read(*payloads), cut=cut, asked_tokens=asked)
    assert found is outcome
    assert (said is None) == (words is None)
    assert words is None or words in str(said)


def test_an_answer_of_unknown_length_is_not_a_mismatch() -> None:
    assert judge_stream(read(A, chat(finish="length"), DONE), cut=None, asked_tokens=128)[0] is Outcome.OK
