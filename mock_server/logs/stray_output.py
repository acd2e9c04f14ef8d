"""Turns text that libraries and child processes write directly to standard error into JSON log lines."""

from __future__ import annotations

import contextlib
import json
import logging
import os
import re
import sys
import threading
from collections.abc import Iterator

from mock_server.logs.output import json_line

_LINE_ENDS = re.compile(rb"[\r\n]+")  # progress bars end their updates with \r
_END_S = 1.0


@contextlib.contextmanager
def stray_lines_as_json() -> Iterator[None]:
    """Replaces standard error. Child processes inherit the replacement; the log itself bypasses it."""
    sys.stderr.flush()
    real = os.dup(2)
    reader, writer = os.pipe()
    os.dup2(writer, 2)
    os.close(writer)
    handlers = [handler for handler in logging.getLogger().handlers if isinstance(handler, logging.StreamHandler)]
    with os.fdopen(os.dup(real), "w", buffering=1) as stream:
        before = {handler: handler.setStream(stream) for handler in handlers if handler.stream is sys.stderr}
        thread = threading.Thread(target=_copy, args=(reader, real), name="stray output", daemon=True)
        thread.start()
        try:
            yield
        finally:
            sys.stderr.flush()
            os.dup2(real, 2)
            for handler in before:
                handler.setStream(sys.stderr)
            thread.join(_END_S)  # a child process that keeps running keeps the pipe open


def _copy(reader: int, real: int) -> None:
    rest = b""
    while data := os.read(reader, 65536):
        *lines, rest = _LINE_ENDS.split(rest + data)
        os.write(real, b"".join(map(_as_json, lines)))
    os.write(real, _as_json(rest))
    os.close(reader)
    os.close(real)


def _as_json(line: bytes) -> bytes:
    """Keeps lines that are already JSON: the project's own child processes log JSON themselves."""
    text = line.decode("utf-8", "replace").strip()
    if not text:
        return b""
    if text.startswith("{"):
        with contextlib.suppress(ValueError):
            json.loads(text)
            return line + b"\n"
    return json_line(logging.INFO, text, logger="stderr").encode() + b"\n"
