"""The truth server's scripts, its log, and the comparison: what is false must be found."""

from __future__ import annotations

import json
from pathlib import Path

import click
import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st

from bench.answer.events import ChunkError, Reading
from bench.answer.judgement import judge_stream
from bench.outcome import Outcome
from bench.records.certificate import load_certificate, machine_name, save_certificate
from bench.records.moments import MomentLog
from bench.records.record import Record
from bench.records.result import Figures, Verdict
from bench.records.run import Certificate
from bench.report.selftest import SelfTestReport
from bench.summary import summarize
from bench.target import EventDecoder
from bench.truth.comparison import Comparison, compare
from bench.truth.log import Truth, read_log, write_log
from bench.truth.script import NATURAL_TOKENS, SHAPES, Order, make_script
from bench.truth.selftest import Trial
from tests.unit.bench.rows import T0, Row, columns, moments, row
from tests.unit.bench.runs import run


@given(st.sampled_from(sorted(SHAPES)), st.integers(17, 60))
def test_each_shape_reads_as_its_script_says(shape: str, tokens: int) -> None:
    script = make_script(Order(shape, tokens))
    reading, decoder, arrived = Reading(0, MomentLog().rows), EventDecoder(), []
    outcome: str | None = None
    for number, write in enumerate(script.writes):
        before = reading.events
        try:
            for payload in decoder.feed(write.data):
                assert isinstance(payload, bytes)
                reading.take(payload, number)
        except ChunkError:
            outcome = Outcome.PROTOCOL
        arrived += [number] * (reading.events - before)
    if outcome is None and reading.error is not None:
        outcome = Outcome.STREAM_ERROR
    if outcome is None:
        outcome, _ = judge_stream(reading, cut="cut" if script.cut else None, asked_tokens=tokens)
    own_length = SHAPES[shape].manner.ignores_length
    too_long = shape in ("several", "unknown", "chunks") and tokens % 6
    assert outcome == script.outcome or too_long or (own_length and tokens != NATURAL_TOKENS)
    assert script.outcome in SHAPES[shape].outcomes
    if outcome == "ok":
        assert (reading.usage is not None) == SHAPES[shape].usage
    assert arrived == [number for number, write in enumerate(script.writes) for _ in write.events]


def test_a_log_is_read_as_it_was_written(tmp_path: Path) -> None:
    truths = [Truth("a", 5, [10, 20], [1, 2], [True, False]), Truth("b", 6, [], [], [], "truncated")]
    for truth in truths:
        write_log(tmp_path / "log", [truth])
    assert read_log(tmp_path / "log") == {"a": truths[0], "b": truths[1]}


ROWS = [row(n, n * 100, [n * 100 + 40, n * 100 + 60, n * 100 + 90], request_id=f"r{n}") for n in range(400)]


def truth_of(one: Row, tokens: int = 3) -> Truth:
    stamps = [ns for ns, *_ in one.events]
    assert one.record.request_id is not None
    return Truth(one.record.request_id, one.record.send_ns or 0, stamps, [1] * tokens, [True] * tokens)


def figures() -> Figures:
    return summarize(run(stopped=40_000), columns(*ROWS), moments(*ROWS)).headline


def compared(*truths: Truth, records: list[Record] | None = None) -> Comparison:
    known = {truth.id: truth for truth in truths}
    return compare(figures(), T0, records or [one.record for one in ROWS], known)


def test_correct_figures_have_no_error() -> None:
    comparison = compared(*map(truth_of, ROWS))
    assert {d.figure for d in comparison.deviations} == {"ttft", "ttfv", "itl", "icl", "tpot", "e2e"}
    assert max(abs(d.error) for d in comparison.deviations) < 1e-6
    assert comparison.holds
    assert (comparison.requests, comparison.tokens, comparison.outcomes) == (400, 1200, {"ok": 400})
    assert comparison.throughput_error == pytest.approx(0, abs=1e-9)


def test_a_stamp_that_is_late_by_a_millisecond_is_found() -> None:
    late = [truth_of(one) for one in ROWS]
    for truth in late:
        truth.stamps[0] -= 1_000_000
    comparison = compared(*late)
    errors = {(d.figure, d.percent): d.error for d in comparison.deviations}
    assert errors["ttft", "50"] == pytest.approx(1)
    assert errors["e2e", "50"] == pytest.approx(0)
    assert not comparison.holds
    assert not comparison.is_true  # nor does the report say so


@pytest.mark.parametrize("fault", ["tokens", "events", "outcome", "unknown"])
def test_a_count_that_is_wrong_is_found(fault: str) -> None:
    truths = [truth_of(one) for one in ROWS]
    if fault == "tokens":
        truths[3].tokens = [1, 2, 1]
    elif fault == "events":
        truths[3].stamps, truths[3].tokens = truths[3].stamps[:2], [1, 2]
    elif fault == "outcome":
        truths[3].outcome = "truncated"
    else:
        truths[3].id = "another"
    comparison = compared(*truths)
    assert not comparison.is_exact
    assert comparison.unlike + comparison.miscounted + comparison.unknown == 1


def test_a_window_with_the_first_burst_in_it_is_found() -> None:
    """Two requests that began the load together, in a window that opens between their sends."""
    rows = [row(n, n * 100, [n * 100 + 40, n * 100 + 90], request_id=f"r{n}") for n in range(2, 20)]
    rows += [row(n, n + 1, [40, 90], sched=0, request_id=f"r{n}") for n in range(2)]
    found = summarize(run(stopped=2000), columns(*rows), moments(*rows)).headline
    records = [one.record for one in rows]
    truths = {one.record.request_id or "": truth_of(one, tokens=2) for one in rows}
    assert compare(found, T0, records, truths).starters == 0  # the whole run, told as such, has its beginning in it
    found.window.begin_s = 0.0015
    assert compare(found, T0, records, truths).starters == 1
    assert not compare(found, T0, records, truths).is_exact


def test_a_figure_without_any_basis_is_found() -> None:
    without = [truth_of(one) for one in ROWS]
    for truth in without:
        truth.has_usage = False
    comparison = compared(*without)
    assert comparison.unfounded == ["tpot", "itl"]
    assert comparison.miscounted == len(ROWS)  # each record has a usage that the server did not send
    assert not comparison.is_exact
    assert not msgspec.structs.replace(comparison, miscounted=0).is_exact
    assert msgspec.structs.replace(comparison, miscounted=0, unfounded=[]).is_exact


def test_a_check_that_fails_because_of_the_server_is_found() -> None:
    trial = Trial(
        name="late-close",
        about="",
        streams=1,
        verdict=Verdict(level="degraded"),
        comparison=compared(*map(truth_of, ROWS)),
        blamed=["littles_law"],
    )
    assert trial.comparison.holds
    assert not trial.is_true
    assert "✘ 400 ok: blames littles_law" in click.unstyle(SelfTestReport(None).trial_line(trial))
    assert msgspec.structs.replace(trial, blamed=[]).is_true


def test_cancelled_requests_are_not_compared() -> None:
    records = [one.record for one in ROWS]
    given_up = row(400, 39_990, [], outcome=Outcome.CANCELLED, request_id="r400")
    assert compared(*map(truth_of, ROWS), records=[*records, given_up.record]).is_exact


CERTIFICATE = Certificate(
    tokens_per_s=9000, streams=512, ttft_error_ms=0.1, itl_error_ms=0.1, issued="2026", machine="here"
)


def test_a_certificate_holds_for_the_machine_that_it_was_issued_to(tmp_path: Path) -> None:
    assert load_certificate(tmp_path, "here") is None
    (tmp_path / "certificate.json").write_text('{"more":' + "[" * 100_000 + "}")
    assert load_certificate(tmp_path, "here") is None
    save_certificate(tmp_path / "runs", CERTIFICATE)
    assert load_certificate(tmp_path / "runs", "here") == CERTIFICATE
    assert load_certificate(tmp_path / "runs", "elsewhere") is None


def test_a_file_that_is_not_a_certificate_is_ignored(tmp_path: Path) -> None:
    for content in ("", "[]", json.dumps({"streams": 1})):
        (tmp_path / "certificate.json").write_text(content)
        assert load_certificate(tmp_path, "here") is None


def test_a_machine_is_named_by_what_changes_its_speed() -> None:
    facts = {"cpu": "A", "cores": 2, "system": "Linux", "python": "CPython 3.11", "event_loop": "uvloop", "id": 1}
    assert machine_name(facts) == "A · 2 cores · Linux · CPython 3.11 · uvloop"
