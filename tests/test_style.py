"""One style in all packages, where no rule of ruff holds it."""

from __future__ import annotations

import ast
from pathlib import Path

import pytest

ROOT = Path(__file__).parent.parent
FOLDERS = ("sdk", "bench", "mock_server", "streamgauge", "scripts", "benchmarks", "tests")


def other_names(source: str) -> list[tuple[int, str]]:
    """Line and name of each exception variable that is not called `error`, or by its kind, as `inner_error` is."""
    handlers = [node for node in ast.walk(ast.parse(source)) if isinstance(node, ast.ExceptHandler)]
    return [(each.lineno, each.name) for each in handlers if each.name and not _is_usual(each.name, each.type)]


def _is_usual(name: str, kind: ast.expr | None) -> bool:
    if isinstance(kind, ast.Name) and kind.id == "StopIteration" and name == "end":
        return True  # not an error: it carries a coroutine's result
    return name == "error" or name.endswith("_error")


@pytest.mark.parametrize("folder", FOLDERS)
def test_exceptions_are_called_error(folder: str) -> None:
    found = {
        f"{path.relative_to(ROOT)}:{line}": name
        for path in sorted((ROOT / folder).rglob("*.py"))
        for line, name in other_names(path.read_text())
    }
    assert found == {}


def test_the_check_sees_other_names() -> None:
    source = "try:\n    f()\nexcept OSError as exc:\n    pass\nexcept ValueError as error:\n    pass\n"
    assert other_names(source) == [(3, "exc")]
    assert other_names("try:\n    f()\nexcept StopIteration as end:\n    pass\n") == []
    assert other_names("try:\n    f()\nexcept OSError as inner_error:\n    pass\n") == []
