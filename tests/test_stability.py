"""What docs/stability.md promises is there under the names that it has."""

from __future__ import annotations

import json
import logging
import re
from importlib import import_module
from pathlib import Path

import pytest

from bench.records.run import SCHEMA
from mock_server.logs.output import JsonFormatter

ROOT = Path(__file__).parent.parent
PAGE = (ROOT / "docs" / "stability.md").read_text()
MODULES = sorted(set(re.findall(r"`((?:sdk|mock_server)(?:\.[a-z_]+)+)`", PAGE)) - {"sdk.__all__", "sdk.__version__"})
CLASSES = [
    ("sdk.transport.direct", "DirectTransport"),
    ("sdk.transport.blocking", "BlockingTransport"),
    ("sdk.transport.httpx", "HttpxTransport"),
    ("sdk.transport.httpx", "AsyncHttpxTransport"),
    ("mock_server.app", "create_app"),
    ("mock_server.settings", "ServerSettings"),
    ("mock_server.settings", "Settings"),
]


@pytest.mark.parametrize("module", MODULES)
def test_each_module_is_there(module: str) -> None:
    import_module(module)


@pytest.mark.parametrize(("module", "name"), CLASSES)
def test_each_name_is_there_and_on_the_page(module: str, name: str) -> None:
    assert hasattr(import_module(module), name)
    assert name in PAGE
    assert module in PAGE


def test_the_page_has_the_numbers_of_now() -> None:
    assert f"writes and reads schema {SCHEMA}," in PAGE
    assert f"schema/result-{SCHEMA}.json" in PAGE


def test_a_line_of_the_json_log_has_the_keys_of_the_page() -> None:
    record = logging.LogRecord("mock_server", logging.INFO, __file__, 1, "ready", (), None)
    line = json.loads(JsonFormatter().format(record))
    assert set(line) == {"time", "level", "logger", "message"}
    assert all(f"`{key}`" in PAGE for key in (*line, "request_id", "exception"))
