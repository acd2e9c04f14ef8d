"""A server that runs out of file descriptors reports it, keeps serving its connections, and recovers."""

from __future__ import annotations

import subprocess
import sys
import time
from pathlib import Path

import pytest

from tests.support.raw_clients import REQUEST, ask, connect, connections, status
from tests.support.serving import ROOT, ServerProcess

LIMIT = 128
OPEN_FILES = 'for number in {10..69}; do eval "exec $number</dev/null"; done'


def test_the_server_keeps_running_and_recovers_if_descriptors_run_out(tmp_path: Path) -> None:
    """Other files take what was set aside: fewer connections fit than were counted on."""
    shell = f'ulimit -n {LIMIT} && {OPEN_FILES}; exec "$@"'
    command = ["bash", "-c", shell, "limited", sys.executable, "-m", "mock_server"]
    with (tmp_path / "log").open("wb") as log:
        process = subprocess.Popen(
            [*command, "--port", "0", "--until-stdin-closes", "--log-interval", "0"],
            cwd=ROOT, stdin=subprocess.PIPE, stdout=subprocess.PIPE, stderr=log, text=True,
        )  # fmt: skip
    with process:
        assert process.stdout is not None
        ready = process.stdout.readline()
        server = ServerProcess(ready.split()[1], process, ready)
        with connect(server) as first, connections(server, LIMIT):
            first.sendall(REQUEST)
            assert status(first.recv(1_000)) == 200
            while "file descriptors" not in (tmp_path / "log").read_text():  # until as many are accepted as fit
                time.sleep(0.01)
        while status(ask(server)) != 200:
            pass
        assert process.stdin is not None
        process.stdin.close()
        assert process.wait(30) == 0
    warnings = [line for line in (tmp_path / "log").read_text().splitlines() if "file descriptors" in line]
    assert len(warnings) == 1
    assert "ulimit -n" in warnings[0]


@pytest.mark.parametrize(("limit", "says"), [("256", "lower --max-connections")])
def test_more_connections_than_descriptors_are_refused_at_the_start(limit: str, says: str) -> None:
    command = ["bash", "-c", f'ulimit -n {limit} && exec "$@"', "limited", sys.executable, "-m", "mock_server"]
    ended = subprocess.run(
        [*command, "--port", "0", "--max-connections", limit], cwd=ROOT, capture_output=True, text=True, timeout=30
    )
    assert ended.returncode == 2
    assert says in ended.stderr
