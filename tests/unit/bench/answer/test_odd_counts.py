"""Servers whose token counts cannot be right are measured by their chunks."""

from __future__ import annotations

from pathlib import Path

import pytest

from bench.cli.main import main
from tests.support.gateway import CHAT, events, gateway
from tests.support.wire import WireServer

TOKEN = b'{"choices":[{"index":0,"delta":{"content":"a"}}]}'
LAST = b'{"choices":[{"index":0,"delta":{},"finish_reason":"length"}]}'


@pytest.mark.parametrize("count", [0, -8, 2**62, 10**30])
def test_the_run_ends_with_its_figures(tmp_path: Path, capsys: pytest.CaptureFixture[str], count: int) -> None:
    usage = b'{"choices":[],"usage":{"prompt_tokens":%d,"completion_tokens":%d}}' % (count, count)
    with WireServer(gateway({CHAT: events(*[TOKEN] * 3, LAST, usage, b"[DONE]")})) as server:
        load = ("--concurrency", "1", "--num-requests", "3", "--output-len", "3", "--result-dir", str(tmp_path))
        with pytest.raises(SystemExit) as end:
            main(["--base-url", server.url, *load])
    shown = capsys.readouterr().out
    assert end.value.code == 0
    assert "✔ 3 ok" in shown
    assert "no usage" in shown
    assert "out chunks/s" in shown
    assert "in tok/s" not in shown
