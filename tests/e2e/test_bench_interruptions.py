"""What ends a run before its time: Ctrl-C, SIGTERM, a kill, a server that dies. What had arrived is kept."""

from __future__ import annotations

import contextlib
import os
import shutil
import signal
import socket
import subprocess
import sys
import threading
import time
from collections.abc import Iterator
from http.server import SimpleHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path

import msgspec
import pytest

from bench.outcome import Outcome
from bench.records.event_rows import read_rows
from bench.records.moments import Kind
from bench.records.record import Record
from bench.records.result import Result
from bench.records.run_folder import load_records
from bench.records.spool import read_chunks
from tests.support.serving import ROOT, server_process

COMMAND = [sys.executable, "-m", "bench"]
PLAIN = {key: value for key, value in os.environ.items() if not key.startswith("OPENAI_")}
QUICK = ("--engine", "scripted", "--script", "ttft_ms=5,itl_ms=2")
LIMIT = "resource.setrlimit(resource.RLIMIT_FSIZE, (40_000, 40_000))"
RUN = "runpy.run_module('bench', run_name='__main__', alter_sys=True)"
SLOW = ("--engine", "scripted", "--script", "ttft_ms=5,itl_ms=200")


@contextlib.contextmanager
def running(tmp_path: Path, *arguments: str) -> Iterator[subprocess.Popen[str]]:
    """The bench at work, its results under `tmp_path`."""
    process = subprocess.Popen(
        [*COMMAND, *arguments, "--result-dir", str(tmp_path / "runs")],
        cwd=ROOT,
        env=PLAIN,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
    )
    try:
        yield process
    finally:
        if process.poll() is None:
            process.kill()
        process.communicate()


def wait_for_load(tmp_path: Path, requests: int) -> Path:
    """The folder of the run, once so many of its requests have ended."""
    deadline = time.monotonic() + 30
    while time.monotonic() < deadline:
        for path in (tmp_path / "runs").glob("*/requests.jsonl"):
            if (path.parent / "run.json").exists() and len(loaded(path.parent)) >= requests:
                return path.parent
        time.sleep(0.02)  # the records grow in another process's file
    raise AssertionError("the load did not begin")


def loaded(folder: Path) -> list[Record]:
    return [record for record in load_records(folder / "requests.jsonl") if record.phase == "load"]


def unwrapped(text: str) -> str:
    return " ".join(text.split())


def result_of(folder: Path) -> Result:
    return msgspec.json.decode((folder / "result.json").read_bytes(), type=Result)


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM])
def test_the_first_signal_ends_the_run_with_what_was_measured(tmp_path: Path, number: signal.Signals) -> None:
    with server_process(*QUICK) as server, running(tmp_path, "--base-url", server.url, "--concurrency", "8") as bench:
        folder = wait_for_load(tmp_path, 24)
        bench.send_signal(number)
        out, err = bench.communicate(timeout=20)
    assert (bench.returncode, err) == (130, "")
    assert "interrupted: answers still in progress are missing" in out
    result = result_of(folder)
    assert result.interrupted
    assert result.counts.ok >= 24
    assert result.counts.failed == 0
    assert result.counts.cancelled <= 8
    assert len(loaded(folder)) == result.counts.ok + result.counts.cancelled
    assert f"✔ {result.counts.ok} ok" in out


def test_a_run_that_is_stopped_before_any_answer_has_ended_shows_what_had_come(tmp_path: Path) -> None:
    arguments = ("--concurrency", "8", "--warmup", "0")
    with server_process(*SLOW) as server, running(tmp_path, "--base-url", server.url, *arguments) as bench:
        folder = wait_for_load(tmp_path, 0)
        while len(streaming(folder)) < 8:
            time.sleep(0.02)  # another process's file grows
        bench.send_signal(signal.SIGINT)
        out, err = bench.communicate(timeout=20)
    assert (bench.returncode, err) == (130, "")
    result = result_of(folder)
    assert (result.counts.ok, result.counts.cancelled) == (0, 8)
    assert "n/a req/s" in out
    assert "out tok/s" in out
    assert result.headline.latency["ttft"].n == 8
    assert "  TTFT  ms  " in out
    assert "no answer had ended when the run was stopped" in unwrapped(out)


def streaming(folder: Path) -> set[int]:
    """Requests of the load that have had a token."""
    found: set[int] = set()
    for rows in read_rows(read_chunks(folder / "moments.bin")):
        found.update(rows.request[(rows.request >= 0) & (rows.kind == Kind.VISIBLE)].tolist())
    return found


def test_the_embedded_server_is_stopped_with_an_interrupted_run(tmp_path: Path) -> None:
    with running(tmp_path, "--concurrency", "4", "--server-profile", "instant") as bench:
        folder = wait_for_load(tmp_path, 8)
        bench.send_signal(signal.SIGINT)
        out, err = bench.communicate(timeout=20)
    assert (bench.returncode, err) == (130, "")
    assert result_of(folder).counts.failed == 0  # the server did not get the signal, nor die before the streams
    assert "(embedded, profile instant)" in out


def test_the_second_signal_leaves_at_once(tmp_path: Path) -> None:
    with running(tmp_path, "--concurrency", "4", "--server-profile", "instant") as bench:
        wait_for_load(tmp_path, 8)
        bench.send_signal(signal.SIGSTOP)
        bench.send_signal(signal.SIGTERM)
        bench.send_signal(signal.SIGINT)  # both are pending when it goes on
        bench.send_signal(signal.SIGCONT)
        out, _ = bench.communicate(timeout=20)
    assert (bench.returncode, out) == (130, "")


def test_a_signal_before_the_load_leaves_nothing_behind(tmp_path: Path) -> None:
    arguments = ("--warmup", "50", "--concurrency", "1")
    with server_process(*SLOW) as server, running(tmp_path, "--base-url", server.url, *arguments) as bench:
        while not established(server.process.pid):
            time.sleep(0.02)  # the connection is another process's
        bench.send_signal(signal.SIGINT)
        out, err = bench.communicate(timeout=20)
    assert (bench.returncode, out) == (130, "")
    assert err == "interrupted before the load began: nothing was measured\n"
    assert not (tmp_path / "runs").exists()


def established(pid: int) -> bool:
    """Whether a process has an open TCP connection, by its own table."""
    sockets = set()
    for path in Path(f"/proc/{pid}/fd").iterdir():
        with contextlib.suppress(FileNotFoundError):  # closed meanwhile
            sockets.add(os.readlink(path))
    for line in Path(f"/proc/{pid}/net/tcp").read_text().splitlines()[1:]:
        fields = line.split()
        if fields[3] == "01" and f"socket:[{fields[9]}]" in sockets:
            return True
    return False


def test_a_killed_run_can_still_be_reported(tmp_path: Path) -> None:
    with server_process(*QUICK) as server, running(tmp_path, "--base-url", server.url, "--concurrency", "8") as bench:
        folder = wait_for_load(tmp_path, 24)
        bench.kill()
        bench.communicate(timeout=20)
    report = subprocess.run([*COMMAND, "report", str(folder)], cwd=ROOT, capture_output=True, text=True, timeout=50)
    assert (report.returncode, report.stderr) == (0, "")
    ended = len(loaded(folder))
    assert ended >= 24
    assert f"✔ {ended} ok" in report.stdout
    assert "the bench was killed before the end of the run" in report.stdout
    assert "result.json" not in report.stdout
    assert f"records  {folder}" in report.stdout


def test_a_run_that_still_goes_on_can_be_reported_so_far(tmp_path: Path) -> None:
    with server_process(*QUICK) as server, running(tmp_path, "--base-url", server.url, "--concurrency", "8") as bench:
        folder = wait_for_load(tmp_path, 24)
        report = subprocess.run([*COMMAND, "report", str(folder)], cwd=ROOT, capture_output=True, text=True, timeout=50)
        assert bench.poll() is None
    assert (report.returncode, report.stderr) == (0, "")
    assert "the bench is still running: these are its figures so far" in report.stdout
    assert "killed" not in report.stdout


@pytest.mark.parametrize(("gone", "code"), [("moments.bin", 0), (".", 1)])
def test_what_is_removed_during_the_run_is_one_warning_and_the_figures_all_the_same(
    tmp_path: Path, gone: str, code: int
) -> None:
    arguments = ("--concurrency", "4", "--num-requests", "40", "--output-len", "24")
    with server_process(*QUICK) as server, running(tmp_path, "--base-url", server.url, *arguments) as bench:
        folder = wait_for_load(tmp_path, 4)
        if gone == ".":
            shutil.rmtree(folder)
        else:
            (folder / gone).unlink()
        out, err = bench.communicate(timeout=20)
    assert bench.returncode == code
    assert err.count("\n") == 1
    assert err.startswith("warning: ")
    assert "was removed" in err
    assert "✔ 40 ok" in out
    assert "960 tokens = usage in all 40 requests" in out


def test_a_folder_that_is_renamed_during_the_run_has_all_of_it(tmp_path: Path) -> None:
    arguments = ("--concurrency", "4", "--num-requests", "40", "--output-len", "24")
    with server_process(*QUICK) as server, running(tmp_path, "--base-url", server.url, *arguments) as bench:
        moved = wait_for_load(tmp_path, 4).rename(tmp_path / "moved")
        out, err = bench.communicate(timeout=20)
    assert bench.returncode == 0
    assert err.startswith("warning: the folder ")
    assert f"result   {moved / 'result.json'}" in out
    assert result_of(moved).counts.ok == len(loaded(moved)) == 40


def test_a_server_that_dies_half_way_is_a_failure_by_class_with_results_kept(tmp_path: Path) -> None:
    arguments = ("--concurrency", "8", "--give-up-after", "300ms")
    with server_process(*QUICK) as server, running(tmp_path, "--base-url", server.url, *arguments) as bench:
        folder = wait_for_load(tmp_path, 24)
        server.process.kill()
        out, err = bench.communicate(timeout=20)
    assert (bench.returncode, err) == (1, "")
    result = result_of(folder)
    assert result.counts.ok >= 24
    classes = {found.outcome: found.count for found in result.counts.failures}
    assert set(classes) <= {Outcome.TRUNCATED, Outcome.CONNECT}
    assert 8 <= classes[Outcome.CONNECT] <= 80
    assert len(loaded(folder)) == result.counts.ok + result.counts.failed
    assert "connection refused" in out
    assert "stopped early: no request was answered for 0.3 s" in out
    (reason,) = (reason for reason in result.verdict.reasons if reason.code == "cut_short")
    assert reason.value is not None
    assert 0 < reason.value < 1
    assert result.verdict.level != "trusted"


def test_a_load_goes_on_when_its_server_was_restarted(tmp_path: Path) -> None:
    with socket.create_server(("127.0.0.1", 0)) as free:
        port = str(free.getsockname()[1])
    command = [sys.executable, "-m", "mock_server", "--port", port, "--until-stdin-closes", *QUICK]
    arguments = ("--base-url", f"http://127.0.0.1:{port}", "--concurrency", "8", "--num-requests", "200")
    with started(command) as first, running(tmp_path, *arguments, "--output-len", "24") as bench:
        folder = wait_for_load(tmp_path, 24)
        first.kill()
        with started(command):
            bench.communicate(timeout=40)
    result = result_of(folder)
    assert result.gave_up is None
    assert result.counts.sent == 200
    assert result.counts.failed >= 8
    assert result.counts.ok > 24
    assert "cut_short" not in {check.code for check in result.checks}


@contextlib.contextmanager
def started(command: list[str]) -> Iterator[subprocess.Popen[str]]:
    """A server that is ready, ended with the block."""
    with subprocess.Popen(
        command, cwd=ROOT, stdin=subprocess.PIPE, stdout=subprocess.PIPE, stderr=subprocess.DEVNULL, text=True
    ) as process:
        assert process.stdout is not None
        assert process.stdout.readline().startswith("ready ")
        try:
            yield process
        finally:
            process.kill()


def test_an_embedded_server_that_dies_is_named(tmp_path: Path) -> None:
    with running(tmp_path, "--concurrency", "4") as bench:
        folder = wait_for_load(tmp_path, 4)
        (server,) = children(bench.pid)
        os.kill(server, signal.SIGKILL)
        out, err = bench.communicate(timeout=20)
    assert (bench.returncode, err) == (1, "")
    assert "the embedded server ended during the run (exit code -9)" in out
    assert result_of(folder).counts.ok >= 4


def children(pid: int) -> list[int]:
    return [int(child) for child in Path(f"/proc/{pid}/task/{pid}/children").read_text().split()]


def test_a_bench_that_stood_still_does_not_trust_itself(tmp_path: Path) -> None:
    arguments = ("--concurrency", "4", "--duration", "1.2")
    with server_process(*QUICK) as server, running(tmp_path, "--base-url", server.url, *arguments) as bench:
        folder = wait_for_load(tmp_path, 4)
        bench.send_signal(signal.SIGSTOP)
        time.sleep(0.3)  # the pause itself
        bench.send_signal(signal.SIGCONT)
        bench.communicate(timeout=20)
    result = result_of(folder)
    assert bench.returncode == 0
    assert result.verdict.level != "trusted"
    assert "client_pause" in {reason.code for reason in result.verdict.reasons}
    assert result.client.loop_lag_max_ms is not None
    assert result.client.loop_lag_max_ms >= 250


def test_a_server_that_stood_still_is_in_the_figures_and_not_in_the_verdict(tmp_path: Path) -> None:
    arguments = ("--concurrency", "4", "--duration", "1.5")
    with server_process(*QUICK) as server, running(tmp_path, "--base-url", server.url, *arguments) as bench:
        folder = wait_for_load(tmp_path, 4)
        server.process.send_signal(signal.SIGSTOP)
        time.sleep(0.3)  # the pause itself
        server.process.send_signal(signal.SIGCONT)
        bench.communicate(timeout=20)
    result = result_of(folder)
    assert bench.returncode == 0
    latency = result.whole_run.latency
    assert max(latency["max_gap"].max or 0, latency["ttft"].max or 0) >= 250
    # What may fail on a busy machine is the client's own affair.
    own = {"client_cpu", "client_error", "client_pause", "lateness", "littles_law", "loop_lag"}
    assert {reason.code for reason in result.verdict.reasons} <= own


def test_a_disk_that_fills_up_during_the_run_costs_the_files_only(tmp_path: Path) -> None:
    """A limit on the size of files stands in for the disk's; it cuts the moments short."""
    limited = f"import resource, runpy, signal, sys; signal.signal(signal.SIGXFSZ, signal.SIG_IGN); {LIMIT}; {RUN}"
    with server_process("--profile", "instant") as server:
        done = subprocess.run(
            [
                *(sys.executable, "-c", limited, "--base-url", server.url, "--concurrency", "4"),
                *("--num-requests", "200", "--output-len", "32", "--result-dir", str(tmp_path / "runs")),
            ],
            cwd=ROOT,
            env=PLAIN,
            capture_output=True,
            text=True,
            timeout=50,
        )
    assert done.returncode == 1
    assert done.stderr.count("\n") == 1
    assert done.stderr.startswith("warning: results are not kept: File too large")
    assert "✔ 200 ok" in done.stdout
    assert "6,400 tokens = usage in all 200 requests" in done.stdout  # those that found no room are in the figures
    (folder,) = (tmp_path / "runs").iterdir()
    assert result_of(folder).counts.ok == 200  # there was room for the figures
    report = subprocess.run([*COMMAND, "report", str(folder)], cwd=ROOT, capture_output=True, text=True, timeout=50)
    assert (report.returncode, report.stderr) == (0, "")
    written = len(loaded(folder))
    assert 0 < written < 200
    assert (
        "the disk accepted no more records (File too large): these figures cover the time before that" in report.stdout
    )
    assert "200 requests were sent" in unwrapped(report.stdout)
    assert "tokens = usage in all" in report.stdout  # what the disk cut short is not taken for a miscount
    assert "killed" not in report.stdout


def test_a_server_of_another_kind_is_one_clear_line(tmp_path: Path) -> None:
    with http_server() as url:
        done = subprocess.run(
            [*COMMAND, "--base-url", url, "--model", "m", "--num-requests", "2", "--result-dir", str(tmp_path)],
            cwd=ROOT,
            env=PLAIN,
            capture_output=True,
            text=True,
            timeout=50,
        )
    assert (done.returncode, done.stdout) == (1, "")
    assert done.stderr.startswith("error: ")
    assert done.stderr.count("\n") == 1
    assert "501" in done.stderr
    assert list(tmp_path.iterdir()) == []


@contextlib.contextmanager
def http_server() -> Iterator[str]:
    """A web server that serves files, and knows nothing of models."""
    with ThreadingHTTPServer(("127.0.0.1", 0), QuietHandler) as server:
        thread = threading.Thread(target=server.serve_forever)
        thread.start()
        try:
            yield f"http://127.0.0.1:{server.server_address[1]}"
        finally:
            server.shutdown()
            thread.join()


class QuietHandler(SimpleHTTPRequestHandler):
    def log_message(self, format: str, *args: object) -> None:
        pass
