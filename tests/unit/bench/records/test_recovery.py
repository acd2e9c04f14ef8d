"""Runs without a recorded end: why they have none, and what is computed from them."""

from __future__ import annotations

from pathlib import Path

import pytest

from bench.records.moments import Kind, MomentLog
from bench.records.recovery import is_incomplete, recover
from bench.records.result import Result
from bench.records.run import Run
from bench.records.run_folder import RunFolder, load_run
from bench.records.spool import read_chunks
from bench.summary import summarize
from tests.unit.bench.rows import ms
from tests.unit.bench.runs import keep_run, run
from tests.unit.bench.test_summary import back_to_back, check

KILLED = {"health": None, "begun_ns": None, "stopped_ns": None, "ended_ns": None}


def kept(parent: Path, facts: Run, requests: int = 12) -> RunFolder:
    return keep_run(parent, facts, back_to_back(requests))


def reported(path: Path) -> tuple[Run, Result]:
    facts, columns, moments = load_run(path)
    assert is_incomplete(facts)
    columns = recover(facts, columns, path)
    return facts, summarize(facts, columns, lambda: read_chunks(moments))


def test_a_whole_run_needs_no_recovery(tmp_path: Path) -> None:
    folder = kept(tmp_path, run())
    folder.close()
    assert not is_incomplete(load_run(folder.path)[0])


@pytest.mark.parametrize(
    ("closed", "cut", "unfinished", "words"),
    [
        (True, 0, "killed", "the bench was killed before the end of the run"),
        (False, 0, "running", "the bench is still running: these are its figures so far"),
        (True, 5, "disk", "the last record is incomplete: the disk was full"),
    ],
)
def test_the_reason_for_a_missing_end_is_reported(
    tmp_path: Path, closed: bool, cut: int, unfinished: str, words: str
) -> None:
    folder = kept(tmp_path, run(**KILLED))
    path = folder.path
    if closed:
        folder.close()
    moments = path / "moments.bin"
    with moments.open("r+b") as file:
        file.truncate(moments.stat().st_size - cut)
    facts, result = reported(path)
    assert facts.unfinished == unfinished
    assert words in check(result, "not_watched").text
    assert result.verdict.level == "degraded"
    assert result.counts.ok == (11 if cut else 12)
    folder.close()


def test_a_record_without_moments_on_a_full_disk_is_not_a_miscount(tmp_path: Path) -> None:
    """The disk was full after two thirds of the moments; the bench reached its end and reports it."""
    folder = kept(tmp_path, run(stopped=1200, sent=12, records_end="No space left on device"))
    folder.close()
    moments = folder.path / "moments.bin"
    rows = 8 * 7 + 4  # seven each of eight requests, and the beginning of a ninth
    with moments.open("r+b") as file:
        file.truncate(rows * 16)
    facts, result = reported(folder.path)
    assert (result.counts.ok, result.counts.cancelled, result.counts.failed) == (8, 1, 0)
    assert check(result, "tokens_match_usage").status == "pass"
    found = check(result, "records_cut")
    assert found.status == "fail"
    assert "(No space left on device)" in found.text
    assert found.remedy.startswith("12 requests were sent")
    assert facts.unfinished == "disk"
    # The time without records is not a time without tokens.
    assert result.headline.output_tokens_per_s == pytest.approx(40, rel=0.05)
    assert result.whole_run.window.end_s is not None
    assert result.whole_run.window.end_s <= 0.9


def test_a_request_in_progress_at_the_end_counts_as_given_up(tmp_path: Path) -> None:
    folder = kept(tmp_path, run(**KILLED))
    folder.close()
    with (folder.path / "moments.bin").open("ab") as file:
        late = MomentLog()
        late.note(12, Kind.SCHED, ms(1200))
        late.note(12, Kind.VISIBLE, ms(1250), 1)
        file.write(late.rows.tobytes())
    _, result = reported(folder.path)
    assert (result.counts.ok, result.counts.cancelled) == (12, 1)


def test_empty_files_of_a_run_that_was_killed_immediately(tmp_path: Path) -> None:
    folder = kept(tmp_path, run(**KILLED), requests=0)
    folder.close()
    facts, result = reported(folder.path)
    assert facts.unfinished == "killed"
    assert result.counts.sent == 0
