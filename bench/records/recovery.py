"""Runs whose records are incomplete: why they are, and what can still be computed from them."""

from __future__ import annotations

from pathlib import Path

import numpy as np

from bench.records.event_rows import read_rows
from bench.records.moments import ROW_BYTES, Kind
from bench.records.record import Columns
from bench.records.restore import restore
from bench.records.run import Run
from bench.records.run_folder import MOMENTS, REQUESTS
from bench.records.spool import is_locked, read_chunks


def is_incomplete(run: Run) -> bool:
    """Whether some of a run may be missing from its records."""
    return run.ended_ns is None or run.records_end is not None


def recover(run: Run, columns: Columns, folder: Path) -> Columns:
    """The requests of an incomplete run, including those in progress. Notes in `run` why it is incomplete.

    A record whose last moments the disk did not accept is ignored; its request is restored from the moments.
    Raises OSError.
    """
    moments = folder / MOMENTS
    if run.records_end is not None:
        run.unfinished = "disk"
        run.stopped_ns = run.ended_ns = None  # nothing after the last record is known
    else:
        run.unfinished = _why(folder)
    ended = _ended_requests(moments)
    requests = columns.integers["request"]
    whole = columns.picked(row for row in range(len(columns)) if requests[row] in ended)
    restore(whole, read_chunks(moments))
    return whole


def _why(folder: Path) -> str:
    files = folder / REQUESTS, folder / MOMENTS
    if any(map(is_locked, files)):
        return "running"
    # A kill happens between two writes; a disk that fills up accepts a part of one.
    return "disk" if not _ends_with_a_line(files[0]) or files[1].stat().st_size % ROW_BYTES else "killed"


def _ends_with_a_line(path: Path) -> bool:
    with path.open("rb") as file:
        if file.seek(0, 2) == 0:
            return True
        file.seek(-1, 2)
        return file.read() == b"\n"


def _ended_requests(moments: Path) -> set[int]:
    ended: set[int] = set()
    for rows in read_rows(read_chunks(moments)):
        ended.update(np.unique(rows.request[rows.kind == Kind.END]).tolist())
    return ended
