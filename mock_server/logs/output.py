"""The format of log lines: text for people or JSON for machines, both on standard error."""

from __future__ import annotations

import json
import logging
import sys
import threading
import time
from contextvars import ContextVar
from textwrap import indent
from types import TracebackType
from typing import Literal, get_args

from mock_server.logs.text import printable, printable_lines

LogFormat = Literal["text", "json"]
LOG_FORMATS: tuple[LogFormat, ...] = get_args(LogFormat)

TEXT_FORM = "%(asctime)s %(levelname)s %(name)s: %(message)s"

current_request: ContextVar[str | None] = ContextVar("current_request", default=None)
"""The id of the request that the current task handles."""

_log = logging.getLogger("mock_server")


class JsonFormatter(logging.Formatter):
    """One object per line, in ASCII, so that it is valid JSON in any locale."""

    def format(self, record: logging.LogRecord) -> str:
        line = {
            "time": f"{time.strftime('%Y-%m-%dT%H:%M:%S', time.gmtime(record.created))}.{int(record.msecs):03d}Z",
            "level": record.levelname,
            "logger": record.name,
            "message": printable(record.getMessage().strip()),
        }
        if (request_id := current_request.get()) is not None:
            line["request_id"] = request_id
        if record.exc_info:
            line["exception"] = printable_lines(self.formatException(record.exc_info))
        if record.stack_info:
            line["stack"] = printable_lines(record.stack_info)
        return json.dumps(line)


class TextFormatter(logging.Formatter):
    """One line for each record. Lines of a traceback are indented, so that none of them looks like a record."""

    def __init__(self) -> None:
        super().__init__(TEXT_FORM)

    def format(self, record: logging.LogRecord) -> str:
        record.message = printable(record.getMessage().strip())
        record.asctime = self.formatTime(record)
        parts = [self.formatMessage(record)]
        if record.exc_info:
            parts.append(self.formatException(record.exc_info))
        if record.stack_info:
            parts.append(record.stack_info)
        first, *rest = parts
        return "\n".join([first, *(indent(printable_lines(part), "    ") for part in rest)])


def configure_log(form: LogFormat) -> None:
    """Configures logging in this process, unless the program has configured it already. With `json`, warnings and
    exceptions that end the process or a thread become lines of the log as well.
    """
    handler = logging.StreamHandler(sys.stderr)
    handler.setFormatter(JsonFormatter() if form == "json" else TextFormatter())
    logging.basicConfig(handlers=[handler], level=logging.INFO)
    if form == "json" and logs_json():
        logging.captureWarnings(capture=True)
        sys.excepthook = _log_uncaught
        threading.excepthook = lambda args: _log.critical("a thread failed", exc_info=args.exc_value)


def logs_json() -> bool:
    """Whether this process logs JSON."""
    return any(isinstance(handler.formatter, JsonFormatter) for handler in logging.getLogger().handlers)


def json_line(level: int, message: str, *, logger: str = _log.name) -> str:
    """A line in the same format for text that did not come from the log."""
    return JsonFormatter().format(_log.makeRecord(logger, level, "", 0, message, (), None))


def _log_uncaught(kind: type[BaseException], error: BaseException, trace: TracebackType | None) -> None:
    if issubclass(kind, KeyboardInterrupt):
        sys.__excepthook__(kind, error, trace)
    else:
        _log.critical("the server failed", exc_info=(kind, error, trace))
