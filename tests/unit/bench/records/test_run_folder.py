"""The folder of a run reads back to the same result; if the disk fails, only files are lost."""

from __future__ import annotations

import json
import os
import resource
import shutil
from datetime import UTC, datetime
from pathlib import Path

import msgspec
import pytest
from msgspec.structs import replace

from bench.records.moments import Kind, MomentLog
from bench.records.record import WARMUP
from bench.records.result import Result
from bench.records.run_folder import ResultError, RunFolder, load_records, load_run, to_json, write_bytes, write_json
from bench.records.spool import read_chunks
from bench.summary import summarize
from tests.unit.bench.rows import Row, moments, row
from tests.unit.bench.runs import run
from tests.unit.bench.test_summary import result_of

BEGAN = datetime(2026, 1, 2, 3, 4, 5, tzinfo=UTC)
ROWS = [
    row(0, 0, [100, 130], tokens=[2, 1]),
    row(1, 100, [150, 190]),
    row(2, 200, [260, 300], tokens=None, completion_tokens=9),
]


def keep(parent: Path, *rows: Row, phase: str = "load") -> RunFolder:
    noted = MomentLog()
    folder = RunFolder(parent, BEGAN, noted)
    folder.save_run(run())
    for one in rows:
        folder.keep(replace(one.record, phase=phase))
    for data in moments(*rows)():
        noted.rows.frombytes(data)
    folder.flush()
    return folder


def test_a_run_recomputed_from_its_folder_is_the_run(tmp_path: Path) -> None:
    folder = keep(tmp_path, *ROWS)
    folder.keep(replace(ROWS[0].record, phase=WARMUP, request=-1))
    folder.close()
    facts, found, path = load_run(folder.path)
    expected = to_json(result_of(run(), *ROWS))
    assert to_json(summarize(facts, found, lambda: read_chunks(path))) == expected
    assert to_json(summarize(run(), folder.records(), folder.moments)) == expected
    assert folder.problem is None
    assert folder.id == "2026-01-02-030405"


def test_a_folder_can_be_named_by_a_file_in_it(tmp_path: Path) -> None:
    folder = keep(tmp_path, *ROWS)
    assert load_run(folder.path / "run.json")[0] == run()


def test_flushed_records_are_on_disk(tmp_path: Path) -> None:
    noted = MomentLog()
    folder = RunFolder(tmp_path, BEGAN, noted)
    for number, one in enumerate(ROWS, 1):
        folder.keep(one.record)
        noted.note(number, Kind.SEND, 5)
        folder.flush()
        assert len(list(load_records(folder.path / "requests.jsonl"))) == number
        assert (folder.path / "moments.bin").stat().st_size == 16 * number
    folder.close()


def test_a_line_that_a_crash_cut_short_is_left_out(tmp_path: Path) -> None:
    path = keep(tmp_path, *ROWS).path / "requests.jsonl"
    path.write_bytes(path.read_bytes()[:-20])
    assert [record.request for record in load_records(path)] == [0, 1]


def test_a_damaged_line_before_the_end_is_an_error(tmp_path: Path) -> None:
    path = keep(tmp_path, *ROWS).path / "requests.jsonl"
    path.write_bytes(b"{}\n" + path.read_bytes())
    with pytest.raises(ResultError, match=r"requests\.jsonl, line 1: "):
        list(load_records(path))


def test_a_result_reads_back(tmp_path: Path) -> None:
    result = result_of(run(), *ROWS)
    write_json(tmp_path / "result.json", result)
    assert msgspec.json.decode((tmp_path / "result.json").read_bytes(), type=Result) == result
    assert [file.name for file in tmp_path.iterdir()] == ["result.json"]


def test_runs_that_begin_in_the_same_second_have_their_own_folders(tmp_path: Path) -> None:
    folders = [RunFolder(tmp_path, BEGAN, MomentLog()) for _ in range(3)]
    assert [folder.id for folder in folders] == ["2026-01-02-030405", "2026-01-02-030405-2", "2026-01-02-030405-3"]
    for folder in folders:
        folder.close()


@pytest.mark.parametrize(
    ("content", "words"),
    [(b"{}", "schema None is unknown"), (b'{"schema": 99}', "schema 99"), (b"nope", "not a run.json")],
)
def test_another_schema_is_refused_by_name(tmp_path: Path, content: bytes, words: str) -> None:
    folder = keep(tmp_path, *ROWS)
    (folder.path / "run.json").write_bytes(content)
    with pytest.raises(ResultError, match=words):
        load_run(folder.path)


def test_a_run_of_an_older_version_still_loads(tmp_path: Path) -> None:
    """A run without the fields that were added later."""
    path = keep(tmp_path, *ROWS).path / "run.json"
    content = json.loads(path.read_bytes())
    content["metrics_spec"] = 1
    for name in ("sent", "records_end", "unfinished"):
        del content[name]
    for name in ("keeps_length", "keeps_connections"):
        del content["negotiated"][name]
    del content["load"]["length_required"]
    path.write_text(json.dumps(content))
    lines = [json.loads(line) for line in (path.parent / "requests.jsonl").read_text().splitlines()]
    assert not {"free_ns", "waited_ns", "queued_ns", "reopened"} & {name for line in lines for name in line}
    facts, columns, moments = load_run(path.parent)
    assert facts == replace(run(), metrics_spec=1)
    result = summarize(facts, columns, lambda: read_chunks(moments))
    assert result.metrics_spec == 2  # computed anew, by the definitions of now
    assert result.counts.ok == 3


def test_missing_moments_are_reported(tmp_path: Path) -> None:
    folder = keep(tmp_path, *ROWS).path
    (folder / "moments.bin").unlink()
    with pytest.raises(ResultError, match=r"moments.bin: cannot be read \(No such file or directory\)"):
        load_run(folder)


def test_an_error_about_a_missing_run_file_lists_what_the_folder_has(tmp_path: Path) -> None:
    folder = keep(tmp_path, *ROWS).path
    (folder / "run.json").unlink()
    with pytest.raises(ResultError, match=r"has no run.json, .* computed from its requests.jsonl and moments.bin"):
        load_run(folder)
    with pytest.raises(ResultError, match=r"is not the folder of a run: it has no run.json"):
        load_run(tmp_path)


def test_a_result_that_was_never_written_still_names_its_run(tmp_path: Path) -> None:
    folder = keep(tmp_path, *ROWS)
    assert load_run(folder.path / "result.json")[0] == run()


def test_a_folder_without_a_run_is_refused(tmp_path: Path) -> None:
    with pytest.raises(ResultError, match=r"cannot be read \(No such file or directory\); give the folder of a run"):
        load_run(tmp_path / "nothing")


def test_a_folder_that_cannot_be_created_is_reported_once_and_is_not_an_error(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("")
    folder = keep(tmp_path / "file", *ROWS)
    expected = result_of(run(), *ROWS)
    folder.save_result(expected)
    assert to_json(summarize(run(), folder.records(), folder.moments)) == to_json(expected)
    assert folder.problem is not None
    assert folder.problem.startswith(f"results are not kept: File exists ({tmp_path / 'file'})")
    assert "--result-dir" in folder.problem


def test_room_for_the_figures_is_reserved_until_the_end(tmp_path: Path) -> None:
    folder = keep(tmp_path, *ROWS)
    reserve = folder.path / ".reserve"
    assert reserve.stat().st_size == 256 * 1024
    assert reserve.stat().st_blocks * 512 >= 256 * 1024  # not a hole in the file
    folder.finish()
    assert not reserve.exists()
    assert len(to_json(result_of(run(), *ROWS))) < 128 * 1024
    folder.close()


def test_the_rest_of_a_run_is_written_to_its_moved_folder(tmp_path: Path) -> None:
    folder = keep(tmp_path, *ROWS[:2])
    moved = folder.path.rename(tmp_path / "elsewhere")
    folder.keep(ROWS[2].record)
    folder.flush()
    folder.save_result(result_of(run(), *ROWS))
    assert (folder.problem, folder.is_kept, folder.path) == (None, True, moved)
    assert folder.move == f"the folder {tmp_path / '2026-01-02-030405'} was moved to {moved} during the run"
    assert len(folder.records()) == 3
    folder.close()
    assert sorted(file.name for file in moved.iterdir()) == ["moments.bin", "requests.jsonl", "result.json", "run.json"]


def test_removing_the_folder_loses_the_files_but_no_figure(tmp_path: Path) -> None:
    folder = keep(tmp_path, *ROWS)
    shutil.rmtree(folder.path)
    folder.save_run(run())
    assert to_json(summarize(run(), folder.records(), folder.moments)) == to_json(result_of(run(), *ROWS))
    folder.save_result(result_of(run(), *ROWS))
    assert not folder.is_kept
    assert folder.problem == (
        f"results are not kept: the folder {tmp_path / '2026-01-02-030405'} was removed during the run"
    )
    folder.close()


@pytest.mark.parametrize("name", ["moments.bin", "requests.jsonl"])
def test_a_removed_file_is_reported_and_the_result_is_kept(tmp_path: Path, name: str) -> None:
    folder = keep(tmp_path, *ROWS)
    (folder.path / name).unlink()
    result = summarize(run(), folder.records(), folder.moments)
    assert to_json(result) == to_json(result_of(run(), *ROWS))
    folder.save_result(result)
    assert folder.is_kept
    assert folder.problem == (
        f"the run cannot be reported again: {name} was removed from {tmp_path / '2026-01-02-030405'} during the run"
    )
    folder.close()


def test_a_full_disk_is_reported_once_and_the_figures_are_complete(tmp_path: Path) -> None:
    """A limit on the size of files stands in for a full disk."""
    read, write = os.pipe()
    if (child := os.fork()) == 0:
        size = 2 * len(msgspec.json.encode(ROWS[0].record))
        resource.setrlimit(resource.RLIMIT_FSIZE, (size, size))
        folder = keep(tmp_path, *ROWS * 20)
        folder.finish()
        folder.save_run(run())
        same = len(folder.records()) == 60 and b"".join(folder.moments()) == b"".join(moments(*ROWS * 20)())
        os.write(write, f"{same} {folder.is_kept} {folder.problem}".encode())
        os._exit(0)
    os.waitpid(child, 0)
    assert os.read(read, 1000).startswith(b"True False results are not kept: File too large")
    os.close(read)
    os.close(write)
    path = tmp_path / "2026-01-02-030405" / "requests.jsonl"
    assert [record.request for record in load_records(path)] == [0]


def test_a_path_that_is_not_a_file_is_written_to_and_a_link_is_followed(tmp_path: Path) -> None:
    """Otherwise `--json /dev/null` would replace it with a file."""
    pipe = tmp_path / "pipe"
    os.mkfifo(pipe)
    reader = os.open(pipe, os.O_RDONLY | os.O_NONBLOCK)
    write_bytes(pipe, b"one")
    assert os.read(reader, 100) == b"one"
    os.close(reader)
    assert pipe.is_fifo()
    target, link = tmp_path / "target", tmp_path / "link"
    target.touch()
    link.symlink_to(target)
    write_bytes(link, b"two")
    assert (link.is_symlink(), target.read_bytes()) == (True, b"two")
