"""The modules of the SDK form layers: their imports have no circle."""

from __future__ import annotations

import ast
from graphlib import TopologicalSorter
from pathlib import Path

PACKAGE = Path(__file__).parents[3] / "sdk"


def module_name(file: Path) -> str:
    parts = file.relative_to(PACKAGE.parent).with_suffix("").parts
    return ".".join(parts).removesuffix(".__init__")


def imported(file: Path, modules: set[str]) -> set[str]:
    """The modules that a file imports anywhere in it: at the top, for type checkers, or inside a function."""
    found: set[str] = set()
    for node in ast.walk(ast.parse(file.read_text())):
        if isinstance(node, ast.Import):
            found |= {alias.name for alias in node.names}
        elif isinstance(node, ast.ImportFrom) and node.module:
            names = {f"{node.module}.{alias.name}" for alias in node.names}
            found |= names & modules or {node.module}
    return found & modules


def test_imports_have_no_circle() -> None:
    files = {module_name(file): file for file in sorted(PACKAGE.rglob("*.py"))}
    del files["sdk"]  # the package itself only names its modules, and loads each when it is first needed
    assert len(files) > 30
    TopologicalSorter({name: imported(file, {*files}) for name, file in files.items()}).prepare()  # CycleError
