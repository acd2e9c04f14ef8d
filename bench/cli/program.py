"""The command that started this process, for usage lines, errors and the command that repeats a run."""

from __future__ import annotations

import sys
from pathlib import Path

_SCRIPT = "streamgauge"


def program_name() -> str:
    """`streamgauge bench` if the console script was used, else `python -m bench`."""
    # `sys.argv[0]` is a file name in both cases
    started = [Path(argument).name for argument in sys.orig_argv[1:2]]
    return f"{_SCRIPT} bench" if started == [_SCRIPT] else "python -m bench"
