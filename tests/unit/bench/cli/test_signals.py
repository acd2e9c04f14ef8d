from __future__ import annotations

import signal
from pathlib import Path

import pytest

from bench.cli.main import main
from tests.support.gateway import CHAT, answer, gateway
from tests.support.wire import WireServer


def test_a_run_leaves_the_handlers_of_signals_as_it_found_them(tmp_path: Path) -> None:
    numbers = (signal.SIGINT, signal.SIGTERM)
    before = [signal.getsignal(number) for number in numbers]
    with WireServer(gateway({CHAT: answer})) as server, pytest.raises(SystemExit, match="0"):
        main(["--base-url", server.url, "--num-requests", "1", "--result-dir", str(tmp_path)])
    assert [signal.getsignal(number) for number in numbers] == before
