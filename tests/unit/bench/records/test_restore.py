"""Requests of a killed bench, restored from their moments."""

from __future__ import annotations

from bench.outcome import Outcome
from bench.records.moments import MOST_TOKENS, UNKNOWN_TOKENS, Kind, MomentLog
from bench.records.record import NOT_TOLD, OUTCOMES, UNKNOWN, Columns
from bench.records.restore import restore
from tests.unit.bench.rows import columns, ms, row


def noted(*moments: tuple[int, Kind, float, int]) -> list[bytes]:
    kept = MomentLog()
    for request, kind, at, tokens in moments:
        kept.note(request, kind, ms(at), tokens)
    return [kept.rows.tobytes()]


def test_a_request_in_progress_counts_as_given_up_with_the_tokens_that_had_arrived() -> None:
    found = Columns()
    moments = noted(
        (0, Kind.SCHED, 0, 0),
        (0, Kind.SEND, 1, 0),
        (0, Kind.HEAD, 2, 0),
        (0, Kind.VISIBLE, 5, 2),
        (0, Kind.VISIBLE, 9, 1),
    )
    assert restore(found, moments) == 1
    assert OUTCOMES[found.outcome[0]] is Outcome.CANCELLED
    integers = {name: column[0] for name, column in found.integers.items()}
    assert (integers["sched_ns"], integers["send_ns"], integers["head_ns"]) == (ms(0), ms(1), ms(2))
    assert (integers["first_ns"], integers["visible_ns"], integers["last_ns"]) == (ms(5), ms(5), ms(9))
    assert (integers["events"], integers["completion_tokens"], integers["end_ns"]) == (2, 3, ms(9))


def test_a_request_is_restored_without_the_tokens_that_nobody_counted() -> None:
    found = Columns()
    restore(found, noted((0, Kind.SCHED, 0, 0), (0, Kind.VISIBLE, 5, 2), (0, Kind.VISIBLE, 9, UNKNOWN_TOKENS)))
    integers = {name: column[0] for name, column in found.integers.items()}
    assert (integers["events"], integers["first_tokens"], integers["completion_tokens"]) == (2, 2, 2)
    assert found.event_tokens[0] == NOT_TOLD


def test_recorded_requests_and_warm_ups_are_not_restored() -> None:
    found = columns(row(3, 0, [10, 20]))
    moments = noted((3, Kind.SCHED, 0, 0), (-1, Kind.SCHED, 0, 0), (4, Kind.SCHED, 1, 0))
    assert restore(found, moments) == 1
    assert list(found.integers["request"]) == [3, 4]
    assert found.integers["send_ns"][1] == UNKNOWN


def test_a_request_that_had_ended_keeps_its_outcome() -> None:
    found = Columns()
    ended = OUTCOMES.index(Outcome.TRUNCATED)
    restore(found, noted((0, Kind.SCHED, 0, 0), (0, Kind.VISIBLE, 3, MOST_TOKENS), (0, Kind.END, 4, ended)))
    assert OUTCOMES[found.outcome[0]] is Outcome.TRUNCATED


def test_a_row_that_the_kill_cut_short_is_left_out() -> None:
    found = Columns()
    (data,) = noted((0, Kind.SCHED, 0, 0), (0, Kind.SEND, 1, 0))
    restore(found, [data[:20], data[20:-3]])
    assert found.integers["sched_ns"][0] == ms(0)
    assert found.integers["send_ns"][0] == UNKNOWN
