"""Text that a program writes to standard error without the log."""

from __future__ import annotations

import json
import subprocess
import sys

from tests.support.serving import ROOT

PROGRAM = r"""
import logging, os, subprocess, sys
from mock_server.logs.output import configure_log
from mock_server.logs.stray_output import stray_lines_as_json

configure_log("json")
with stray_lines_as_json():
    os.write(2, b"of a library\n\nloading: 10%\rloading: 99%\r")
    print("by print", file=sys.stderr)
    logging.getLogger("own").warning("of the log")
    os.write(2, b'{"level": "INFO", "message": "of our own process"}\n{no json}\n')
    subprocess.run(["sh", "-c", "echo of another process >&2"], check=True)
    os.write(2, "half a line, \xff 浙江".encode())
logging.getLogger("own").warning("afterwards")
"""


def test_every_stray_line_becomes_an_object_and_none_is_lost() -> None:
    done = subprocess.run([sys.executable, "-c", PROGRAM], cwd=ROOT, capture_output=True, text=True, timeout=60)
    assert done.returncode == 0, done.stderr
    lines = [json.loads(line) for line in done.stderr.splitlines()]
    strays = [line["message"] for line in lines if line.get("logger") == "stderr"]
    assert strays == [
        "of a library", "loading: 10%", "loading: 99%", "by print", "{no json}", "of another process",
        "half a line, ÿ 浙江",
    ]  # fmt: skip
    assert [line["message"] for line in lines if line.get("logger") == "own"] == ["of the log", "afterwards"]
    assert {"level": "INFO", "message": "of our own process"} in lines
