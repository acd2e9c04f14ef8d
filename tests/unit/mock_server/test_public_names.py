"""The names that programs may import from the server."""

from __future__ import annotations

import re
import subprocess
import sys
from importlib import import_module
from typing import Any

import pytest

import mock_server
from tests.support.serving import ROOT


@pytest.mark.parametrize("name", mock_server.__all__)
def test_each_public_name_is_imported_from_the_package(name: str) -> None:
    assert getattr(mock_server, name).__name__ == name
    assert name in dir(mock_server)


def test_an_unknown_name_is_an_attribute_error() -> None:
    with pytest.raises(AttributeError, match="no_such_name"):
        mock_server.no_such_name  # noqa: B018


@pytest.mark.parametrize(
    ("path", "name"),
    [
        ("mock_server.engine.scripted", "ScriptedEngine"),
        ("mock_server.engine.scripted", "TimedDelta"),
        ("mock_server.engine.clock", "RealClock"),
        ("mock_server.engine.tokenizer", "Tokenizer"),
        ("mock_server.engine.base", "Delta"),
        ("mock_server.app", "create_app"),
    ],
)
def test_the_paths_of_earlier_pages_lead_to_the_same_names(path: str, name: str) -> None:
    assert getattr(import_module(path), name) is getattr(mock_server, name)


def test_importing_the_package_loads_nothing_else() -> None:
    code = "import sys, mock_server; print(*(name for name in sys.modules if name.startswith('mock_server')))"
    loaded = subprocess.run([sys.executable, "-c", code], cwd=ROOT, capture_output=True, text=True, check=True).stdout
    assert loaded.split() == ["mock_server"]


def test_the_script_on_the_page_makes_an_app() -> None:
    page = (ROOT / "docs" / "server.md").read_text()
    program = next(block for block in re.findall(r"```python\n(.*?)```", page, re.DOTALL) if "create_app" in block)
    names: dict[str, Any] = {}
    exec(program, names)
    assert [step.at_s for step in names["script"](None)][:2] == [1.0, 1.5]
    assert callable(names["app"])
