"""What libraries and other processes write to standard error past the log, as lines of a log in JSON."""

import contextlib
import json
import logging
import os
import re
import sys
import threading
from collections.abc import Iterator

from .log_output import json_line

_LINE_ENDS = re.compile(rb"[\r\n]+")  # bars that go on in their line end it with \r
_END_S = 1.0


@contextlib.contextmanager
def stray_lines_as_json() -> Iterator[None]:
    """Processes that are started meanwhile inherit it. The log itself takes no detour."""
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
            thread.join(_END_S)  # a process that lives on keeps its end open


def _copy(reader: int, real: int) -> None:
    rest = b""
    while data := os.read(reader, 65536):
        *lines, rest = _LINE_ENDS.split(rest + data)
        os.write(real, b"".join(map(_as_json, lines)))
    os.write(real, _as_json(rest))
    os.close(reader)
    os.close(real)


def _as_json(line: bytes) -> bytes:
    """Other processes of ours log JSON themselves."""
    text = line.decode("utf-8", "replace").strip()
    if not text:
        return b""
    if text.startswith("{"):
        with contextlib.suppress(ValueError):
            json.loads(text)
            return line + b"\n"
    return json_line(logging.INFO, text, logger="stderr").encode() + b"\n"
