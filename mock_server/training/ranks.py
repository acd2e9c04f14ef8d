"""Starts the ranks of a run with torchrun, and waits for them."""

from __future__ import annotations

import os
import re
import signal
import subprocess
import sys
from pathlib import Path

from mock_server.training.errors import TrainingError
from mock_server.training.outcome import Outcome, take_outcome
from mock_server.training.settings import TrainSettings
from mock_server.training.stopping import StopRequest

_LOG = "ranks.log"
_PACKAGES = Path(__file__).resolve().parent.parent.parent
_GRACE_S = 10
_ERROR = re.compile(r"\w(Error|Exception): ")


def train_in_ranks(
    run: Path, settings: TrainSettings, checkpoint: Path | None, stop: StopRequest, lock: int
) -> Outcome:
    """Ctrl-C asks all ranks to save and stop; a second one ends them at once.

    `lock` is the descriptor that keeps others out of the folder: the ranks keep it while they end, if this process is
    killed. Raises `TrainingError`.
    """
    take_outcome(run)  # of a launcher that was killed
    stop.is_training = True
    with (run / _LOG).open("ab") as log:
        launcher = subprocess.Popen(  # noqa: S603 - our own program
            _command(run, settings, checkpoint),
            stderr=log,
            stdin=subprocess.DEVNULL,
            pass_fds=[lock],
            env=_environment(settings),
            start_new_session=True,  # the terminal's Ctrl-C is for us alone
        )
        try:
            code = launcher.wait()
        except BaseException:
            _end(launcher)
            raise
    outcome = take_outcome(run)
    if outcome is None:
        raise TrainingError(f"a rank ended with code {code}: {_last_words(run / _LOG)}")
    if outcome.failure is not None:
        raise TrainingError(outcome.failure)
    return outcome


def _last_words(log: Path) -> str:
    """The last error in the ranks' log: with a run that has no checkpoint, its folder goes, and the log with it."""
    lines = [line.strip() for line in log.read_text("utf-8", "replace").splitlines()]
    errors = [line for line in lines if _ERROR.search(line)]
    return (errors or [line for line in lines if line] or ["it said nothing"])[-1][-300:]


def _command(run: Path, settings: TrainSettings, checkpoint: Path | None) -> list[str]:
    where = ["--rdzv-backend", "c10d", "--rdzv-endpoint", "127.0.0.1:0", "--local-addr", "127.0.0.1"]
    torchrun = [sys.executable, "-m", "torch.distributed.run", *where, "--nproc-per-node", str(settings.nproc_per_node)]
    worker = ["-m", "mock_server.training.worker", str(run), "--launcher", str(os.getpid())]
    return [*torchrun, *worker, *(["--checkpoint", str(checkpoint)] if checkpoint else [])]


def _environment(settings: TrainSettings) -> dict[str, str]:
    cores = len(os.sched_getaffinity(0))
    path = [str(_PACKAGES), *filter(None, [os.environ.get("PYTHONPATH")])]
    return {
        "GLOO_SOCKET_IFNAME": "lo",
        "OMP_NUM_THREADS": str(max(1, cores // settings.nproc_per_node)),
        "OMP_WAIT_POLICY": "passive",
        **os.environ,
        "PYTHONPATH": os.pathsep.join(path),
    }


def _end(launcher: subprocess.Popen[bytes]) -> None:
    """Ends the ranks too."""
    for number in (signal.SIGTERM, signal.SIGKILL):
        try:
            os.killpg(launcher.pid, number)
            launcher.wait(_GRACE_S)
            return
        except (ProcessLookupError, subprocess.TimeoutExpired):
            continue
