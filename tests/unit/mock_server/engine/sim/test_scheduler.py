from __future__ import annotations

from collections.abc import Iterator
from itertools import count

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from mock_server.engine.base import GenerationParams
from mock_server.engine.sim.scheduler import Scheduler, StepPlan
from mock_server.engine.sim.sequence import Sequence, SequenceStatus

EOS = 0


def sequence(prompt: int, output: int, *, eos_at: int | None = None) -> Sequence:
    """A sequence with this many prompt tokens that generates 1, 2, 3 …, at most `output` tokens."""

    def tokens() -> Iterator[int]:
        for position in count(1):
            yield EOS if position == eos_at else position

    return Sequence(prompt, GenerationParams(max_tokens=output), tokens(), eos_token_id=EOS)


def shape(plan: StepPlan) -> tuple[int, list[int]]:
    return len(plan.decodes), [chunk.num_tokens for chunk in plan.prefills]


def test_decodes_come_first_and_prefill_chunks_fill_the_rest() -> None:
    scheduler = Scheduler(max_num_seqs=4, max_num_batched_tokens=10)
    for prompt in (4, 14, 3):
        scheduler.add(sequence(prompt, 5))
    shapes = []
    for _ in range(3):
        plan = scheduler.schedule()
        shapes.append(shape(plan))
        scheduler.complete(plan)
    # 4 of the first prompt and 6 of the second; one decode, the other 8 and 1 of the third; then its last 2.
    assert shapes == [(0, [4, 6]), (1, [8, 1]), (2, [2])]


def test_the_last_prefill_chunk_gives_the_first_token() -> None:
    scheduler = Scheduler(max_num_seqs=1, max_num_batched_tokens=4)
    one = sequence(6, 2)
    scheduler.add(one)
    sampled = [scheduler.complete(scheduler.schedule()) for _ in range(3)]
    assert sampled == [[], [(one, 1, None)], [(one, 2, "length")]]
    assert scheduler.schedule().is_empty


def test_the_end_of_sequence_stops() -> None:
    scheduler = Scheduler(max_num_seqs=1, max_num_batched_tokens=4)
    one = sequence(1, 9, eos_at=2)
    scheduler.add(one)
    assert [scheduler.complete(scheduler.schedule()) for _ in range(2)] == [[(one, 1, None)], [(one, EOS, "stop")]]
    assert one.status is SequenceStatus.FINISHED


def test_an_aborted_sequence_leaves_in_any_state_and_its_plan_skips_it() -> None:
    scheduler = Scheduler(max_num_seqs=2, max_num_batched_tokens=4)
    decoding, prefilling, waiting = sequence(1, 9), sequence(9, 9), sequence(1, 9)
    for each in (decoding, prefilling, waiting):
        scheduler.add(each)
    scheduler.complete(scheduler.schedule())
    plan = scheduler.schedule()
    assert [chunk.sequence for chunk in plan.prefills] == [prefilling]
    for each in (waiting, prefilling, decoding):
        scheduler.abort(each)
    assert scheduler.complete(plan) == []
    assert scheduler.num_running == 0
    assert scheduler.schedule() == StepPlan([], [], 0, 0)


@pytest.mark.parametrize(("seqs", "tokens", "says"), [(0, 8, "max_num_seqs"), (8, 7, "max_num_batched_tokens")])
def test_limits_that_cannot_work_are_refused(seqs: int, tokens: int, says: str) -> None:
    with pytest.raises(ValueError, match=says):
        Scheduler(seqs, tokens)


requests = st.lists(
    st.tuples(
        st.integers(1, 40),  # prompt tokens
        st.integers(1, 12),  # max_tokens
        st.one_of(st.none(), st.integers(1, 12)),  # end of sequence at
        st.integers(0, 30),  # arrives before this step
        st.one_of(st.none(), st.integers(0, 40)),  # aborted before this step
    ),
    max_size=12,
)


@settings(max_examples=200)
@given(requests, st.integers(1, 5), st.integers(0, 20))
def test_every_schedule_keeps_the_rules(
    drawn: list[tuple[int, int, int | None, int, int | None]], max_num_seqs: int, extra: int
) -> None:
    scheduler = Scheduler(max_num_seqs, max_num_seqs + extra)
    expected = {}
    said: dict[Sequence, list[int]] = {}
    arrivals: list[tuple[int, Sequence]] = []
    aborts: list[tuple[int, Sequence]] = []
    for prompt, output, eos_at, arrives, aborted in drawn:
        each = sequence(prompt, output, eos_at=eos_at)
        said[each] = []
        arrivals.append((arrives, each))
        if aborted is None:
            expected[each] = min(output, eos_at or output)
        else:
            aborts.append((max(aborted, arrives), each))
    arrivals.sort(key=lambda pair: pair[0])
    first_tokens = []
    for step in range(2000):
        for at, each in arrivals:
            if at == step:
                scheduler.add(each)
        for at, each in aborts:
            if at == step:
                scheduler.abort(each)
        decoding, waiting = list(scheduler.decoding), len(scheduler.waiting)
        plan = scheduler.schedule()
        used = len(plan.decodes) + plan.num_prefill_tokens
        assert plan.decodes == decoding  # every sequence that can decode does
        assert plan.num_prefill_tokens == sum(chunk.num_tokens for chunk in plan.prefills)
        assert plan.num_kv_tokens == sum(each.num_computed_tokens for each in decoding)
        assert used <= scheduler.max_num_batched_tokens
        assert scheduler.num_running <= max_num_seqs
        assert all(0 < chunk.num_tokens <= chunk.sequence.num_prefill_tokens_left for chunk in plan.prefills)
        if scheduler.waiting:  # none waits while there is room
            assert scheduler.num_running == max_num_seqs or used == scheduler.max_num_batched_tokens
        assert len(scheduler.waiting) <= waiting
        for each, token_id, finish_reason in scheduler.complete(plan):
            assert not said[each] or said[each][-1] != EOS
            if not said[each]:
                first_tokens.append(each)
            said[each].append(token_id)
            assert (finish_reason is not None) == each.is_finished
    # First come, first served. Each generates all its tokens, once and in order.
    order = [each for _, each in arrivals]
    served = [each for each in first_tokens if each in expected]
    assert served == [each for each in order if each in expected]
    assert {each: len(tokens) for each, tokens in said.items() if each in expected} == expected
    assert all(tokens[:-1] == list(range(1, len(tokens))) for tokens in said.values() if tokens)
    assert scheduler.num_running == 0
    assert not scheduler.waiting


def test_the_parts_of_a_plan_are_its_work_in_order_within_the_size() -> None:
    scheduler = Scheduler(max_num_seqs=9, max_num_batched_tokens=100)
    for number in range(9):
        if number == 5:
            scheduler.complete(scheduler.schedule())
        scheduler.add(sequence(2, 5))
    plan = scheduler.schedule()
    assert shape(plan) == (5, [2, 2, 2, 2])
    parts = list(plan.parts(2))
    assert [part.num_sequences for part in parts] == [2, 2, 1, 2, 2]
    assert [found for part in parts for found in part.decodes] == plan.decodes
    assert [chunk for part in parts for chunk in part.prefills] == plan.prefills
