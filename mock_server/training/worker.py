"""One rank of a run, in a process of its own: `python -m mock_server.training.worker RUN`, started by torchrun."""

from __future__ import annotations

import argparse
import os
import signal
import sys
from pathlib import Path

from mock_server.training.environment import prepare
from mock_server.training.errors import TrainingError
from mock_server.training.outcome import Outcome
from mock_server.training.settings import read_settings
from mock_server.training.stopping import StopRequest


def main() -> None:
    """The first rank writes how the run ended; any rank writes why it failed."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").partition("\n")[0])
    parser.add_argument("run", type=Path)
    parser.add_argument("--checkpoint", type=Path)
    parser.add_argument("--launcher", type=int, help="the process whose end stops the run")
    args = parser.parse_args()
    signal.signal(signal.SIGINT, signal.SIG_IGN)  # the launcher makes the request to stop
    settings = read_settings(args.run)
    prepare(settings)
    from mock_server.training.trainer import train

    stop = StopRequest(args.run, args.launcher)
    try:
        outcome = train(args.run, settings, args.checkpoint, stop, _say)
    except TrainingError as error:
        Outcome(0, 0, failure=str(error)).write(args.run)
        sys.exit(1)
    if os.environ.get("RANK", "0") == "0":
        outcome.write(args.run)


def _say(line: str) -> None:
    if os.environ.get("RANK", "0") == "0":
        sys.stdout.write(f"{line}\n")
        sys.stdout.flush()


if __name__ == "__main__":
    main()
