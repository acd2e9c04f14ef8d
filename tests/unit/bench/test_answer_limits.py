"""Answers beyond what was asked for: chunks that are not parsed count too, and so does the time that passes."""

from __future__ import annotations

import pytest

from bench.answer.chunk_shape import ChunkShape
from bench.answer_limits import EXCESS_S, Drain, EndlessAnswerError, most_events
from bench.load.answer_receiver import AnswerReceiver
from bench.records.moments import MomentLog
from bench.target import Deadline, Head, Timeouts
from bench.units import NS_PER_S

EVENT = b'data: {"choices":[{"index":0,"delta":{"content":"a"}}]}\n\n'
PIECE = b"%x\r\n%b\r\n" % (len(EVENT), EVENT)
ASKED = 16


class Sure:
    is_sure = True

    def doubt_ns(self) -> int:
        return 0


def begun() -> tuple[AnswerReceiver, ChunkShape]:
    """An answer whose next chunks are not parsed."""
    answer = AnswerReceiver(1, ASKED, streamed=True, deadline=Deadline(Timeouts()), moments=MomentLog())
    answer.begin(Head(200, {"content-type": "text/event-stream"}), 1)
    assert not answer.take(EVENT, 2, Sure())
    shape = answer.learn_shape(PIECE)
    assert shape is not None
    return answer, shape


def test_too_many_chunks_end_the_answer_even_if_they_are_not_parsed() -> None:
    answer, shape = begun()
    for number in range(most_events(ASKED)):
        assert shape.take(PIECE, 3 + number)
    answer.look(NS_PER_S)
    assert not shape.take(PIECE, NS_PER_S)
    with pytest.raises(EndlessAnswerError, match=r"did not end: 4,162 token events where at most 16 tokens were req"):
        answer.take(EVENT, NS_PER_S, Sure())


def test_an_answer_beyond_its_length_has_a_minute_to_end() -> None:
    answer, shape = begun()
    answer.look(1)
    for number in range(ASKED):
        assert shape.take(PIECE, 3 + number)
    answer.look(NS_PER_S)
    answer.look(NS_PER_S + round(EXCESS_S * NS_PER_S))
    assert shape.take(PIECE, 100)
    answer.look(NS_PER_S + round(EXCESS_S * NS_PER_S) + 1)
    assert not shape.take(PIECE, 101)
    with pytest.raises(EndlessAnswerError):
        answer.take(EVENT, 101, Sure())


def test_a_drain_is_over_when_nothing_changes_for_its_limit() -> None:
    drain = Drain(2)
    assert not drain.is_over(5, 8, 0)
    assert not drain.is_over(6, 8, 2 * NS_PER_S)
    assert not drain.is_over(6, 7, 3 * NS_PER_S)
    assert not drain.is_over(6, 7, 5 * NS_PER_S - 1)
    assert drain.is_over(6, 7, 5 * NS_PER_S)
