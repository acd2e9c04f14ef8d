"""Keeps standard output for the one line that says when a command is ready."""

from __future__ import annotations

import logging
import os
import sys
from collections.abc import Callable

from mock_server.logs.output import json_line, logs_json


def only_line_on_stdout() -> Callable[[str], None]:
    """From now on, what libraries and their processes print goes to standard error. Returns what prints the line."""
    sys.stdout.flush()
    stdout = os.dup(1)
    os.dup2(2, 1)

    def announce(line: str) -> None:
        os.write(stdout, f"{json_line(logging.INFO, line) if logs_json() else line}\n".encode())
        os.close(stdout)

    return announce
