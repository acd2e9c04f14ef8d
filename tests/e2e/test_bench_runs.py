"""`python -m bench` as people run it: a process, a server, a report, a folder."""

from __future__ import annotations

import json
import os
import shutil
import socket
import subprocess
import sys
import tomllib
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit
from urllib.request import urlopen

import msgspec
import numpy as np
import pytest

from bench.records.event_rows import read_rows
from bench.records.moments import Kind
from bench.records.result import Result
from bench.records.run_folder import load_records
from bench.records.spool import read_chunks
from tests.support.serving import ROOT, server_process

TOKEN_KINDS = (Kind.VISIBLE, Kind.HIDDEN, Kind.EMPTY)
COMMAND = [sys.executable, "-m", "bench"]
PLAIN = {key: value for key, value in os.environ.items() if not key.startswith("OPENAI_")}


def bench(tmp_path: Path, *arguments: str, **environment: str) -> subprocess.CompletedProcess[str]:
    """Run it to its end; results go under `tmp_path`."""
    return subprocess.run(
        [*COMMAND, *arguments, "--result-dir", str(tmp_path / "runs"), "--json", str(tmp_path / "result.json")],
        cwd=ROOT,
        env={**PLAIN, **environment},
        capture_output=True,
        text=True,
        timeout=50,
    )


def result_of(tmp_path: Path) -> Result:
    return msgspec.json.decode((tmp_path / "result.json").read_bytes(), type=Result)


def folder_of(tmp_path: Path) -> Path:
    (folder,) = (tmp_path / "runs").iterdir()
    return folder


def health(root: str) -> dict[str, Any]:
    with urlopen(f"{root}/health", timeout=10) as answer:  # the test's own server
        stats: dict[str, Any] = json.loads(answer.read())["engine"]
    return stats


def arrived_tokens(folder: Path) -> int:
    """The tokens of all token events, by the run's moments."""
    rows = read_rows(read_chunks(folder / "moments.bin"))
    return sum(int(piece.tokens[np.isin(piece.kind, TOKEN_KINDS)].sum()) for piece in rows)


def test_one_command_starts_a_server_measures_it_and_stops_it(tmp_path: Path) -> None:
    done = bench(tmp_path, "--concurrency", "8", "--duration", "700ms", "--server-profile", "instant")
    assert (done.returncode, done.stderr) == (0, "")
    first, *_ = done.stdout.splitlines()
    assert "sim-chat on 127.0.0.1:" in first
    assert "(embedded, profile instant) · 8 streams · 0.7 s · seed 7" in first
    assert "\x1b" not in done.stdout

    result = result_of(tmp_path)
    assert result.counts.ok > 8
    assert result.counts.failed == 0
    assert result.counts.output_tokens == 128 * result.counts.ok
    assert result.counts.connections_opened_in_window == 0
    assert result.negotiated.continuous_usage
    statuses = {check.code: check.status for check in result.checks}
    assert statuses["tokens_match_usage"] == "pass"
    assert statuses["server_counters"] == "pass"
    assert result.server is not None
    assert result.server.requests == result.counts.ok
    address = urlsplit(result.target.url)
    with pytest.raises(ConnectionRefusedError):
        socket.create_connection((address.hostname, address.port), timeout=5)

    folder = folder_of(tmp_path)
    assert sorted(file.name for file in folder.iterdir()) == [
        "moments.bin",
        "requests.jsonl",
        "result.json",
        "run.json",
    ]
    assert (folder / "result.json").read_bytes() == (tmp_path / "result.json").read_bytes()
    phases = [record.phase for record in load_records(folder / "requests.jsonl")]
    assert phases.count("warmup") == 8 + 2  # one request a stream, after two that see what the server does
    assert phases.count("load") == result.counts.sent

    again = subprocess.run(
        [*COMMAND, "report", str(folder), "--json", "-"], cwd=ROOT, capture_output=True, text=True, timeout=50
    )
    assert again.returncode == 0
    assert again.stderr == done.stdout  # the JSON has standard output to itself
    assert again.stdout == (folder / "result.json").read_text()


@pytest.mark.parametrize("streams", [1, 64, 256])
def test_counts_are_the_servers_own(tmp_path: Path, streams: int) -> None:
    requests = max(8, 2 * streams)
    with server_process("--profile", "instant") as server:
        before = health(server.root)
        done = bench(
            tmp_path,
            *("--base-url", server.url, "--concurrency", str(streams), "--num-requests", str(requests)),
            *("--output-len", "24"),
        )
        after = health(server.root)
    assert (done.returncode, done.stderr) == (0, "")
    records = list(load_records(folder_of(tmp_path) / "requests.jsonl"))
    result = result_of(tmp_path)
    assert result.counts.ok == result.counts.sent == requests
    assert after["requests"] - before["requests"] == len(records) == requests + streams + 2
    assert after["generated_tokens"] - before["generated_tokens"] == arrived_tokens(folder_of(tmp_path))
    assert after["prompt_tokens"] - before["prompt_tokens"] == sum(r.prompt_tokens or 0 for r in records)
    assert result.counts.output_tokens == 24 * requests
    assert max(record.slot for record in records) == streams - 1


def test_a_run_in_every_form(tmp_path: Path) -> None:
    with server_process("--profile", "instant") as server:
        arguments = ("--base-url", server.url, "--concurrency", "2", "--num-requests", "6", "--format", "vllm")
        done = bench(tmp_path, *arguments, "--save-result", "--result-filename", "sub/v.json", "--goodput", "ttft:1e6")
    assert (done.returncode, done.stderr) == (0, "")
    assert "Successful requests:                     6         " in done.stdout
    saved = json.loads((tmp_path / "runs" / "sub" / "v.json").read_text())
    assert (saved["completed"], saved["total_output_tokens"]) == (6, 6 * 128)
    assert "itls" not in saved
    shutil.rmtree(tmp_path / "runs" / "sub")
    report = [*COMMAND, "report", str(folder_of(tmp_path)), "--result-dir", str(tmp_path / "again")]
    forms = {"markdown": "| ok | 6 |", "csv": "steady,ttft,", "json": '"goodput": {', "console": "✔ 6 ok"}
    for name, words in forms.items():
        again = subprocess.run([*report, "--format", name], cwd=ROOT, capture_output=True, text=True, timeout=50)
        assert (again.returncode, again.stderr) == (0, "")
        assert words in again.stdout
    subprocess.run([*report, "--save-detailed"], cwd=ROOT, capture_output=True, timeout=50, check=True)
    (detailed,) = (tmp_path / "again").iterdir()
    assert detailed.name.startswith("openai-chat-infqps-concurrency2-sim-chat-")
    assert len(json.loads(detailed.read_text())["itls"]) == 6


def test_strict_fails_what_is_not_trusted(tmp_path: Path) -> None:
    """Four requests over four streams have no steady window, whatever the machine."""
    with server_process("--profile", "instant") as server:
        done = bench(tmp_path, "--base-url", server.url, "--concurrency", "4", "--num-requests", "4", "--strict")
    assert result_of(tmp_path).verdict.level != "trusted"
    assert (done.returncode, done.stderr) == (1, "")


def test_known_delays_are_reported(tmp_path: Path) -> None:
    """A script of 60 ms to the first token and 5 ms between tokens: half of the answers cannot have come sooner."""
    with server_process("--engine", "scripted", "--script", "ttft_ms=60,itl_ms=5") as server:
        done = bench(tmp_path, "--base-url", server.url, "--concurrency", "16", "--duration", "1", "--output-len", "40")
    assert (done.returncode, done.stderr) == (0, "")
    latency = result_of(tmp_path).headline.latency
    ttft, e2e = (latency[name].percentiles["50"].value for name in ("ttft", "e2e"))
    assert ttft is not None
    assert e2e is not None
    assert ttft >= 59  # the server's timers count whole milliseconds
    assert e2e >= 59 + 39 * 4.9
    assert latency["itl"].n == latency["icl"].n > 16 * 39


def test_prompts_of_a_file_with_lengths_of_their_own(tmp_path: Path) -> None:
    prompts = tmp_path / "p.jsonl"
    prompts.write_text(
        '{"prompt": "Why is the sky blue?", "output_len": 5}\n'
        '{"messages": [{"role": "system", "content": "Be brief."}, {"role": "user", "content": "你好"}]}\n',
        "utf-8",
    )
    with server_process("--profile", "instant") as server:
        done = bench(
            tmp_path,
            *("--base-url", server.url, "--concurrency", "2", "--num-requests", "10"),
            *("--prompts", str(prompts), "--output-len", "9", "--cache", "keep"),
        )
    assert (done.returncode, done.stderr) == (0, "")
    records = [r for r in load_records(folder_of(tmp_path) / "requests.jsonl") if r.phase == "load"]
    assert sorted((r.query, r.asked_tokens, r.completion_tokens) for r in records) == [(0, 5, 5)] * 5 + [(1, 9, 9)] * 5
    assert len({r.prompt_tokens for r in records}) == 2
    assert "2 prompts of p.jsonl · unchanged" in done.stdout


@pytest.mark.parametrize("endpoint", ["chat", "completions"])
def test_synthetic_prompts_have_the_length_asked_for(tmp_path: Path, endpoint: str) -> None:
    with server_process("--profile", "instant") as server:
        done = bench(
            tmp_path,
            *("--base-url", server.url, "--concurrency", "2", "--num-requests", "40", "--output-len", "4"),
            *("--input-len", "100", "--endpoint", endpoint),
        )
    assert (done.returncode, done.stderr) == (0, "")
    records = load_records(folder_of(tmp_path) / "requests.jsonl")
    assert {r.prompt_tokens for r in records if r.phase == "load"} == {100}
    assert result_of(tmp_path).notes == []


def test_a_base_model_is_asked_for_completions(tmp_path: Path) -> None:
    with server_process("--profile", "instant", "--no-chat") as server:
        done = bench(tmp_path, "--base-url", server.url, "--concurrency", "2", "--num-requests", "4")
    assert done.returncode == 0
    assert result_of(tmp_path).target.endpoint == "/v1/completions"


def test_address_and_key_come_from_the_environment_and_the_key_stays_secret(tmp_path: Path) -> None:
    with server_process("--profile", "instant", "--api-key", "top-secret") as server:
        done = bench(
            tmp_path,
            *("--concurrency", "2", "--num-requests", "4"),
            OPENAI_BASE_URL=server.url,
            OPENAI_API_KEY="top-secret",
        )
        refused = bench(tmp_path, "--base-url", server.url, "--api-key", "wrong")
    assert done.returncode == 0
    assert "(address from OPENAI_BASE_URL)" in done.stdout
    assert "key from OPENAI_API_KEY" in done.stdout
    written = [file.read_bytes() for file in folder_of(tmp_path).iterdir()]
    assert all(b"top-secret" not in text for text in (done.stdout.encode(), done.stderr.encode(), *written))
    assert refused.returncode == 2
    assert refused.stderr.startswith(f"error: {server.url}/models does not accept the API key")


def test_one_clear_line_and_exit_2_for_what_cannot_be_measured(tmp_path: Path) -> None:
    with socket.create_server(("127.0.0.1", 0)) as closed:
        port = closed.getsockname()[1]
    with server_process("--profile", "instant") as server:
        wrong = {
            ("--concurrency", "0"): "error: --concurrency must be at least 1 (got 0)",
            ("--port", str(port)): f"error: nothing answers at http://127.0.0.1:{port}/v1 (connection refused). "
            "Is the server running? Leave out --base-url to use the embedded server.",
            ("--base-url", server.url, "--model", "sim-chatt"): "error: model 'sim-chatt' is not served here; "
            "served: sim-chat; did you mean sim-chat?",
            ("--base-url", server.url, "--prompts", "/nowhere"): "error: --prompts /nowhere: cannot be read "
            "(No such file or directory)",
            ("--server-profile", "nope"): "error: the embedded server reports: no profile is called 'nope'; "
            "there are: demo, instant.",
            ("--json", "/nowhere/r.json"): "error: --json /nowhere/r.json: there is no folder /nowhere",
            ("report",): "error: RUN is missing; see --help",
            ("report", "/nowhere"): "error: /nowhere/run.json: cannot be read (No such file or directory); "
            "give the folder of a run",
        }
        for arguments, said in wrong.items():
            done = subprocess.run(
                [*COMMAND, *arguments], cwd=ROOT, env=PLAIN, capture_output=True, text=True, timeout=50
            )
            assert (done.returncode, done.stdout, done.stderr) == (2, "", said + "\n")
    assert not (tmp_path / "runs").exists()


def test_results_that_cannot_be_kept_are_one_warning_and_the_figures_all_the_same(tmp_path: Path) -> None:
    (tmp_path / "runs").write_text("a file where a folder was to be")
    done = bench(tmp_path, "--concurrency", "2", "--num-requests", "4", "--server-profile", "instant")
    assert done.returncode == 0
    assert done.stderr.count("\n") == 1
    assert done.stderr.startswith("warning: results are not kept: ")
    assert "✔ 4 ok" in done.stdout
    assert "result   " not in done.stdout
    assert result_of(tmp_path).counts.ok == 4


def test_results_that_are_nowhere_are_no_success(tmp_path: Path) -> None:
    (tmp_path / "runs").write_text("a file where a folder was to be")
    with server_process("--profile", "instant") as server:
        arguments = ("--base-url", server.url, "--concurrency", "2", "--num-requests", "4")
        done = subprocess.run(
            [*COMMAND, *arguments, "--result-dir", str(tmp_path / "runs")],
            cwd=ROOT,
            env=PLAIN,
            capture_output=True,
            text=True,
            timeout=50,
        )
    assert done.returncode == 1
    assert done.stderr.startswith("warning: results are not kept: ")
    assert "✔ 4 ok" in done.stdout


def without(tmp_path: Path, package: str, *arguments: str) -> subprocess.CompletedProcess[str]:
    """The bench in an environment that lacks a package, as far as imports can tell."""
    (tmp_path / "sitecustomize.py").write_text(
        "import sys\n"
        "class Without:\n"
        "    def __init__(self, finder): self.finder = finder\n"
        "    def __getattr__(self, name): return getattr(self.finder, name)\n"
        "    def find_spec(self, name, path=None, target=None):\n"
        f"        if name.partition('.')[0] == {package!r}: return None\n"
        "        return self.finder.find_spec(name, path, target)\n"
        "sys.meta_path[:] = map(Without, sys.meta_path)\n"
    )
    return subprocess.run(
        [*COMMAND, *arguments],
        cwd=ROOT,
        env={**PLAIN, "PYTHONPATH": str(tmp_path)},
        capture_output=True,
        text=True,
        timeout=50,
    )


@pytest.mark.parametrize(("package", "name"), [("click", "click"), ("numpy", "numpy"), ("yaml", "PyYAML")])
def test_a_missing_package_is_told_with_the_extra_that_brings_it(tmp_path: Path, package: str, name: str) -> None:
    done = without(tmp_path, package)
    assert done.returncode == 1
    assert done.stderr == f"error: the bench needs {name}: pip install -e '.[bench]'\n"


def test_a_package_that_the_embedded_server_misses_is_one_line_too(tmp_path: Path) -> None:
    done = without(tmp_path, "uvicorn")
    assert done.returncode == 1
    assert done.stderr.startswith("error: the embedded server did not start: the server needs uvicorn: pip install ")
    assert done.stderr.count("\n") == 1


def test_the_extra_of_the_bench_brings_the_server_that_it_starts() -> None:
    project = tomllib.loads((ROOT / "pyproject.toml").read_text("utf-8"))["project"]
    assert "streamgauge[server]" in project["optional-dependencies"]["bench"]


def test_what_is_slow_to_import_waits_until_the_load_is_over() -> None:
    code = "import sys, bench.cli.main, bench.cli.runner; print(*{name.partition('.')[0] for name in sys.modules})"
    done = subprocess.run([sys.executable, "-c", code], cwd=ROOT, capture_output=True, text=True, check=True)
    assert not {"numpy", "rich", "pydantic", "fastapi", "httpx2", "anyio"} & set(done.stdout.split())
