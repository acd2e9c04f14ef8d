from __future__ import annotations

import os
import signal
import subprocess
import sys
from pathlib import Path

import pytest

from mock_server.training.stopping import StopRequest, signals_ask


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM])
def test_the_first_signal_asks_and_the_second_interrupts(tmp_path: Path, number: int) -> None:
    stop = StopRequest(tmp_path)
    stop.is_training = True
    with signals_ask(stop):
        assert not stop.is_made()
        os.kill(os.getpid(), number)
        assert stop.is_made()
        with pytest.raises(KeyboardInterrupt):
            os.kill(os.getpid(), number)


def test_a_signal_before_training_interrupts(tmp_path: Path) -> None:
    stop = StopRequest(tmp_path)
    with signals_ask(stop), pytest.raises(KeyboardInterrupt):
        os.kill(os.getpid(), signal.SIGINT)
    assert not stop.is_made()


def test_ranks_learn_of_it_by_the_folder(tmp_path: Path) -> None:
    launcher, rank = StopRequest(tmp_path), StopRequest(tmp_path, os.getpid())
    assert not rank.is_made()
    launcher.make()
    assert rank.is_made()
    launcher.clear()
    assert not rank.is_made()


def test_ranks_stop_without_their_launcher(tmp_path: Path) -> None:
    launcher = subprocess.Popen([sys.executable, "-c", ""])
    launcher.wait()
    assert StopRequest(tmp_path, launcher.pid).is_made()
