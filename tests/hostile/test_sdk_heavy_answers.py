"""A megabyte or two of JSON made of a million values, wherever an answer has a place for them, take little memory."""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path
from typing import Any

from tests.support.heavy_answers import ANSWERS, heavy_server

ROOT = Path(__file__).parents[2]
MOST_MB = 150
REFUSED = {"AnswerTooLargeError", "ProtocolError", "StreamServerError"}


def test_no_answer_of_many_values_takes_much_memory(record_property: Any) -> None:
    with heavy_server() as server:
        program = [sys.executable, "-m", "tests.support.heavy_answers", f"http://127.0.0.1:{server.port}"]
        done = subprocess.run(program, cwd=ROOT, capture_output=True, text=True, check=True)
    ends = {found["name"]: found for found in map(json.loads, done.stdout.splitlines())}
    assert set(ends) == set(ANSWERS)
    record_property("memory of an SDK client", max(end["peak_mb"] for end in ends.values()))
    assert {name: end for name, end in ends.items() if end["peak_mb"] >= MOST_MB} == {}
    assert {end["end"] for end in ends.values()} - REFUSED == {"answer"}
    assert ends["content of texts"]["end"] == "answer"
