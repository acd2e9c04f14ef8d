"""What the machine does not allow is told before the load where it can be, and by its name where it cannot."""

from __future__ import annotations

import errno
import json
import subprocess
import sys
from pathlib import Path

import pytest

from bench.load.plan import Limits
from bench.load.resource_limits import check_ports, check_rate
from bench.load.settings import UsageError
from bench.outcome import Outcome
from bench.records.record import Record
from bench.target import ConnectError, refusal
from tests.support.gateway import CHAT, answer, gateway
from tests.support.serving import ROOT, server_process
from tests.support.wire import WireServer
from tests.unit.bench.rows import MS, row
from tests.unit.bench.runs import run
from tests.unit.bench.test_summary import back_to_back, result_of


def bench(tmp_path: Path, files: tuple[int, int], *arguments: str) -> subprocess.CompletedProcess[str]:
    """The bench with so many open files, softly and at most."""
    code = (
        "import resource, runpy, sys\n"
        f"resource.setrlimit(resource.RLIMIT_NOFILE, {files})\n"
        "runpy.run_module('bench', run_name='__main__', alter_sys=True)"
    )
    output = ("--result-dir", str(tmp_path / "runs"), "--json", str(tmp_path / "result.json"))
    return subprocess.run(
        [sys.executable, "-c", code, *arguments, *output], cwd=ROOT, capture_output=True, text=True, timeout=50
    )


def test_the_limit_is_raised_as_far_as_it_goes_and_that_is_told(tmp_path: Path) -> None:
    with WireServer(gateway({CHAT: answer})) as server:
        done = bench(tmp_path, (96, 256), "--base-url", server.url, "--concurrency", "80", "--num-requests", "160")
    assert (done.returncode, done.stderr) == (0, "")
    assert "raised this process's limit of open files from 96 to 144" in done.stdout


def test_more_streams_than_files_are_refused(tmp_path: Path) -> None:
    done = bench(tmp_path, (128, 128), "--concurrency", "500")
    assert done.returncode == 2
    assert done.stderr == (
        "error: --concurrency 500 needs 564 open files, but this process may have 128: "
        "ask for at most 64, or raise the hard limit (ulimit -Hn 564)\n"
    )


def test_more_streams_than_local_ports_are_refused() -> None:
    check_ports(1000)
    with pytest.raises(UsageError, match="--concurrency 70000 needs 70000 local ports, but this machine has "):
        check_ports(70_000)


def answered(ttft_ms: int, itl_ms: int, tokens: int = 16) -> Record:
    last = (ttft_ms + itl_ms * (tokens - 1)) * MS
    return Record(
        request=-1,
        phase="warmup",
        sched_ns=0,
        send_ns=0,
        first_ns=ttft_ms * MS,
        last_ns=last,
        end_ns=last,
        outcome=Outcome.OK,
        completion_tokens=tokens,
    )


def test_a_rate_that_is_sure_to_need_more_connections_is_refused() -> None:
    """A hundred tokens at 10 ms each: a second on the idle server, more on a busy one."""
    quick = answered(10, 10)
    check_rate(100, Limits(60), 100, quick)
    with pytest.raises(UsageError, match=r"--request-rate 1e\+06 needs about 1,000,000 open connections, as a req"):
        check_rate(1e6, Limits(60), 100, quick)
    check_rate(1e6, Limits(0.001), 100, quick)
    check_rate(1e6, Limits(60, requests=50), 100, quick)
    check_rate(1e6, Limits(60), 1, answered(0, 0))


def test_a_rate_is_refused_before_its_load(tmp_path: Path) -> None:
    with server_process("--engine", "scripted", "--script", "ttft_ms=5,itl_ms=20") as server:
        done = bench(tmp_path, (128, 128), "--base-url", server.url, "--request-rate", "150")
    assert done.returncode == 2
    assert "error: --request-rate 150 needs about " in done.stderr
    assert "this process may have 128 open files: raise the limit (ulimit -n " in done.stderr
    assert not (tmp_path / "runs").exists()


def test_what_shows_only_during_the_run_has_its_own_class_and_stops_it(tmp_path: Path) -> None:
    """The first answer is short, the later ones take longer than the test: one connection each."""
    with server_process("--engine", "scripted", "--script", "ttft_ms=2,itl_ms=50") as server:
        arguments = ("--request-rate", "200", "--duration", "20", "--no-ignore-eos", "--warmup", "0")
        done = bench(tmp_path, (96, 96), "--base-url", server.url, *arguments, "--timeout", "1500ms")
    assert done.returncode == 1
    result = json.loads((tmp_path / "result.json").read_bytes())
    (limited,) = (found for found in result["counts"]["failures"] if found["outcome"] == "client_limit")
    assert "too many open files (96 allowed)" in limited["first_error"]
    assert result["gave_up"].startswith("stopped early: too many open files (96 allowed)")
    assert result["elapsed_s"] < 15
    assert "connect" not in {found["outcome"] for found in result["counts"]["failures"]}
    assert "client_limit" in {reason["code"] for reason in result["verdict"]["reasons"]}


@pytest.mark.parametrize("number", [errno.EMFILE, errno.ENFILE, errno.EADDRNOTAVAIL, errno.ENOBUFS])
def test_what_the_machine_lacks_is_not_the_servers(number: int) -> None:
    error = ConnectError("none left")
    error.__cause__ = OSError(number, "none left")
    assert refusal(error) == (Outcome.CLIENT_LIMIT, "none left")
    error.__cause__ = OSError(errno.ECONNREFUSED, "refused")
    assert refusal(error)[0] is Outcome.CONNECT


def test_the_verdict_names_the_limit() -> None:
    limited = row(99, 500, [], outcome=Outcome.CLIENT_LIMIT, error="too many open files: raise it", send_ns=None)
    verdict = result_of(run(), *back_to_back(10), limited).verdict
    assert verdict.level == "degraded"
    assert ("client_limit", "too many open files: raise it") in [(r.code, r.remedy) for r in verdict.reasons]
