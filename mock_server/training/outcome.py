"""How a run ended."""

from __future__ import annotations

import json
import os
from dataclasses import asdict, dataclass
from pathlib import Path

_FILE = ".outcome.json"


@dataclass(frozen=True, slots=True)
class Outcome:
    """`failure` is the message of what ended the run before its time; `was_stopped` that somebody asked it to stop."""

    step: int
    steps: int
    was_stopped: bool = False
    failure: str | None = None

    def write(self, run: Path) -> None:
        """For the process that launched the ranks."""
        partial = run / f"{_FILE}.{os.getpid()}"  # ranks may fail at the same time
        partial.write_text(json.dumps(asdict(self)), "utf-8")
        partial.replace(run / _FILE)


def take_outcome(run: Path) -> Outcome | None:
    """What a rank wrote, and removes it; None if the ranks died before they could write."""
    try:
        found = Outcome(**json.loads((run / _FILE).read_text("utf-8")))
    except FileNotFoundError:
        return None
    (run / _FILE).unlink()
    return found
