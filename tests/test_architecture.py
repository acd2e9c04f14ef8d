"""The order of rooms in each package, read off the source: imports point down it, and never in a circle."""

from __future__ import annotations

import ast
import re
from collections.abc import Iterator
from functools import cache
from pathlib import Path

import pytest

ROOT = Path(__file__).parent.parent

# From the bottom to the top: a room imports only from those before it. A module at the top level is its own room.
ORDER = {
    "bench": (
        *(
            "units",
            "headers",
            "outcome",
            "remedies",
            "answer_limits",
            "arrays",
            "kernel_stamps",
            "shown_text",
            "terminal",
        ),
        *("redaction", "workload", "target", "records", "answer", "wire", "load", "figures", "checks", "summary"),
        *("compare", "truth", "report", "cli", "__main__"),
    ),
    "mock_server": (
        *(
            "logs",
            "engine",
            "engine.author",
            "engine.sim",
            "engine.hf",
            "engine.transformers",
            "engine.vllm",
            "errors",
            "request_limits",
        ),
        *("settings", "answer", "request", "limits", "models", "admission", "telemetry", "http", "state", "openapi"),
        *("routes", "app", "process", "offline", "embedded", "dataset", "training", "export", "infer", "chat_page"),
        *("commands", "__main__"),
    ),
}
DIVIDED = {"mock_server.engine"}  # its folders are rooms of their own
# They only pass on names under the paths that earlier versions documented.
OLD_PATHS = {f"mock_server.engine.{name}" for name in ("clock", "scripted", "tokenizer")}


def name_of(path: Path) -> str:
    parts = path.relative_to(ROOT).with_suffix("").parts
    return ".".join(parts[:-1] if parts[-1] == "__init__" else parts)


@cache
def imports(package: str) -> dict[str, set[str]]:
    """The modules of a package, each with those of the same package that it imports, anywhere in its file."""
    files = {name_of(path): path for path in sorted((ROOT / package).rglob("*.py"))}
    assert files, f"no files in {package}"
    return {name: set(_imported(path, name, set(files))) - {name} for name, path in files.items()}


def _imported(path: Path, name: str, known: set[str]) -> Iterator[str]:
    here = name if path.name == "__init__.py" else name.rpartition(".")[0]
    for node in ast.walk(ast.parse(path.read_text())):
        if isinstance(node, ast.Import):
            candidates = [alias.name for alias in node.names]
        elif isinstance(node, ast.ImportFrom):
            above = here.split(".")[: len(here.split(".")) + 1 - node.level] if node.level else []
            source = ".".join([*above, *filter(None, [node.module])])
            members = [f"{source}.{alias.name}" for alias in node.names]
            candidates = [member if member in known else source for member in members]
        else:
            continue
        yield from known.intersection(candidates)


def room(module: str) -> str:
    """The room that a module stands in."""
    package, *parts = module.split(".")
    if f"{package}.{parts[0]}" in DIVIDED and len(parts) > 2:
        return ".".join(parts[:2])
    return parts[0]


def circles(graph: dict[str, set[str]]) -> list[list[str]]:
    """The groups of modules that import each other, directly or through others."""
    reached: dict[str, set[str]] = {}
    for start in graph:
        found, ahead = set[str](), [start]
        while ahead:
            new = graph[ahead.pop()] - found
            found |= new
            ahead += new
        reached[start] = found
    groups = {frozenset(other for other in reached[name] if name in reached[other]) for name in graph}
    return sorted(map(sorted, filter(None, groups)))


@pytest.mark.parametrize("package", ORDER)
def test_each_module_stands_in_a_room_of_the_order(package: str) -> None:
    modules = [name for name in imports(package) if name != package]
    assert {room(name) for name in modules} - set(ORDER[package]) == set()


@pytest.mark.parametrize("package", ORDER)
def test_imports_point_down_the_order_of_rooms(package: str) -> None:
    height = {name: number for number, name in enumerate(ORDER[package])}
    against = [
        f"{module} -> {imported}"
        for module, others in imports(package).items()
        for imported in others
        if module not in {package, *OLD_PATHS} and imported != package and height[room(imported)] > height[room(module)]
    ]
    assert against == []


@pytest.mark.parametrize("package", ["sdk", "bench", "mock_server", "streamgauge"])
def test_no_modules_import_each_other(package: str) -> None:
    graph = imports(package)
    modules = graph.keys() - {package}  # the package itself only names its modules, and imports one when it is used
    assert circles({name: graph[name] & modules for name in modules}) == []


def test_a_circle_is_found() -> None:
    graph = {"a": {"b"}, "b": {"c"}, "c": {"b"}, "d": {"e"}, "e": {"f"}, "f": {"d"}, "g": set[str]()}
    assert circles(graph) == [["b", "c"], ["d", "e", "f"]]


def test_imports_are_found_wherever_they_stand() -> None:
    graph = imports("bench")
    assert "bench.load.driver" in graph["bench.load.session"]  # at the top of the file
    assert "bench.cli.runner" in graph["bench.cli.main"]  # in a function
    assert "bench.cli.values" in graph["bench.cli.load_test"]  # a module, imported from its package


def test_the_page_on_the_architecture_names_files_that_exist() -> None:
    files = {
        f"/{path.relative_to(ROOT)}"
        for package in (*ORDER, "sdk", "streamgauge")
        for path in (ROOT / package).rglob("*.py")
    }
    page = (ROOT / "docs" / "architecture.md").read_text("utf-8")
    named = {
        name for name in re.findall(r"`([\w/]+\.py)`", page) if "NAME" not in name and not name.startswith("tests/")
    }
    assert len(named) > 50
    assert {name for name in named if not any(file.endswith(f"/{name}") for file in files)} == set()
