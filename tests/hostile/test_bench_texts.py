"""A server whose every text is hostile, to the bench on a terminal and in a pipe: nothing of it is obeyed."""

from __future__ import annotations

import json
import os
import pty
import re
import select
import subprocess
import sys
from collections.abc import Callable, Iterator
from pathlib import Path
from time import monotonic

import pytest

from tests.support.bench_process import run_bench
from tests.support.gateway import events, reply_json
from tests.support.serving import ROOT
from tests.support.wire import Peer, WireServer

KEY = "sk-hostile/Key+0123456789"
EVIL = (
    "m\x1b[2J\x1b]0;owned\x07\x1b]8;;http://evil.example\x1b\\x\x1bP1$r\x9b31m\x7f\r\nerror: forged\u2028\u2029"
    "\u202e\u200b\u2066 [red]|`b`<script>alert(1)</script><img src=x>[a](javascript:alert(1)) # =1+1 @all ../../x\0"
)
# What the bench itself may send to a terminal: colours, and the cursor of its live view.
OWN = re.compile(r"\x1b\[(?:\d+(?:;\d+)*)?m|\x1b\[\d*[FJK]|\x1b\[\?25[lh]|\r\n|\n")


def hostile(status: str | None) -> Callable[[Peer], None]:
    """Says everything with control characters; load requests fail with `status` after the first ones, or succeed."""

    def play(peer: Peer) -> None:
        while request := peer.read_request():
            number = next(asked) if request.startswith(b"POST") else -1
            if request.startswith(b"GET /v1/models "):
                peer.send(reply_json({"data": [{"id": EVIL}, {"id": "z" + EVIL}]}))
            elif number >= 4 and status is not None and number % 2:
                words = {"message": f"{EVIL} for {KEY}", "code": EVIL, "type": EVIL}
                peer.send(reply_json({"error": words}, f"{status} \x1b[2J"))
            elif number < 0:
                peer.send(reply_json({"detail": EVIL}, "404 \x1b]0;a\x07"))
            else:
                chunk = {"model": EVIL, "choices": [{"delta": {"content": EVIL}, "finish_reason": EVIL + KEY}]}
                usage = {"prompt_tokens": 1, "completion_tokens": 1}
                peer.send(events(json.dumps(chunk).encode(), json.dumps({"choices": [], "usage": usage}).encode()))

    asked = iter(range(1_000_000))
    return play


@pytest.fixture(
    params=[
        pytest.param(None, marks=pytest.mark.slow, id="good answers"),
        pytest.param("500", id="errors of the server"),
        pytest.param("400", marks=pytest.mark.slow, id="refusals"),
    ]
)
def server(request: pytest.FixtureRequest) -> Iterator[WireServer]:
    with WireServer(hostile(request.param)) as found:
        yield found


def assert_nothing_is_obeyed(shown: str) -> None:
    rest = OWN.sub("", shown)
    assert rest.isprintable(), {character for character in rest if not character.isprintable()}
    assert not re.search(r"^error: forged", shown, re.MULTILINE)
    for secret in (KEY, "sk-hostile", "Key+0123456789"):
        assert secret not in shown


def on_terminal(folder: Path, *arguments: str) -> str:
    """What the bench sends to a terminal of 100 columns."""
    master, slave = pty.openpty()
    environment = {name: value for name, value in os.environ.items() if not name.startswith("OPENAI_")}
    process = subprocess.Popen(
        [sys.executable, "-m", "bench", *arguments, "--result-dir", str(folder / "runs")],
        cwd=ROOT,
        env=environment | {"TERM": "xterm-256color", "COLUMNS": "100"},
        stdin=slave,
        stdout=slave,
        stderr=slave,
    )
    os.close(slave)
    found, until = b"", monotonic() + 50
    while monotonic() < until:
        if not select.select([master], [], [], 1)[0]:
            continue
        try:
            data = os.read(master, 65536)
        except OSError:  # nobody holds the other end any more
            break
        if not data:
            break
        found += data
    os.close(master)
    assert process.wait(10) in (0, 1, 2)
    return found.decode()


def load(server: WireServer) -> tuple[str, ...]:
    return (
        *("--base-url", server.url, "--concurrency", "2", "--duration", "0.8", "--warmup", "1"),
        *("--api-key", KEY, "--no-ignore-eos"),
    )


def test_a_terminal_is_sent_nothing_of_it(server: WireServer, tmp_path: Path) -> None:
    shown = on_terminal(tmp_path, *load(server))
    assert r"m\x1b[2J" in shown
    assert_nothing_is_obeyed(shown)


@pytest.mark.parametrize(
    "form", ["markdown", *(pytest.param(form, marks=pytest.mark.slow) for form in ("console", "csv", "json", "vllm"))]
)
def test_no_form_of_the_report_has_any_of_it(form: str, server: WireServer, tmp_path: Path) -> None:
    ran = run_bench(tmp_path, *load(server), "--format", form, "--save-result", "--save-detailed")
    assert ran.code in (0, 1)
    assert "Traceback" not in ran.text
    assert_nothing_is_obeyed(ran.text)
    if form == "markdown":
        bare = re.sub(r"\\.", "", ran.out.decode())
        assert not re.search(r"<(?:script|img)|\]\(", bare)
    files = [path for path in tmp_path.rglob("*") if path.is_file()]
    assert all(re.fullmatch(r"[\w.=+@ -]+", path.name) for path in files)
    kept = b"".join(path.read_bytes() for path in files)
    for secret in (KEY, json.dumps(KEY)[1:-1], "sk-hostile"):
        assert secret.encode() not in kept
    (run,) = (tmp_path / "runs").glob("*/run.json")
    again = run_bench(tmp_path, "report", str(run.parent), "--format", form)
    assert_nothing_is_obeyed(again.text)


def test_a_message_before_the_load_is_one_line(tmp_path: Path) -> None:
    def play(peer: Peer) -> None:
        while request := peer.read_request():
            words = {"error": {"message": f"{EVIL} {KEY}", "code": EVIL}}
            models = reply_json({"data": [{"id": EVIL}]})
            peer.send(models if request.startswith(b"GET") else reply_json(words, "401 \x1b[2J"))

    with WireServer(play) as server:
        first = run_bench(tmp_path, *load(server))
        unserved = run_bench(tmp_path, *load(server), "--model", "other")
    for ran in (first, unserved):
        assert ran.code == 2
        assert ran.text.count("\n") == 1
        assert_nothing_is_obeyed(ran.text)


@pytest.mark.slow
@pytest.mark.parametrize("text", [EVIL, "=1+1", "[" * 100])
def test_a_result_of_others_is_read_as_text(text: str, tmp_path: Path) -> None:
    with WireServer(hostile(None)) as server:
        run_bench(tmp_path, *load(server))
    (path,) = (tmp_path / "runs").glob("*/run.json")
    run = json.loads(path.read_bytes())
    run["tool"] = run["again"] = run["target"]["model"] = run["target"]["url"] = run["load"]["prompts"] = text
    run["notes"] = run["target"]["headers"] = [text]
    run["gave_up"] = text
    path.write_text(json.dumps(run))
    for form in ("console", "markdown", "csv", "json", "vllm"):
        ran = run_bench(tmp_path, "report", str(path.parent), "--format", form)
        assert "Traceback" not in ran.text, ran.text
        assert_nothing_is_obeyed(ran.text)
    path.write_text("[" * 1_000_000)
    ran = run_bench(tmp_path, "report", str(path.parent))
    assert (ran.code, ran.text.count("\n")) == (2, 1)
