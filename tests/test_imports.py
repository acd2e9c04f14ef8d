"""The directions of imports, read off the source: who may know whom is a decision, and this is where it is held."""

from __future__ import annotations

import ast
import inspect
import subprocess
import sys
from pathlib import Path
from typing import Any, get_type_hints

import pytest

ROOT = Path(__file__).parent.parent
PACKAGES = ("sdk", "bench", "mock_server")


def imports(path: Path) -> set[str]:
    """Every module that a file imports, anywhere in it, its own package's relative ones aside."""
    found: set[str] = set()
    for node in ast.walk(ast.parse(path.read_text())):
        if isinstance(node, ast.Import):
            found |= {alias.name for alias in node.names}
        elif isinstance(node, ast.ImportFrom) and node.level == 0 and node.module:
            found.add(node.module)
    return found


def importers(package: str) -> dict[str, set[str]]:
    """The files of a package by their path, each with the top-level names it imports."""
    files = sorted((ROOT / package).rglob("*.py"))
    assert files, f"no files in {package}"
    return {str(file.relative_to(ROOT)): {name.partition(".")[0] for name in imports(file)} for file in files}


def who_imports(name: str, package: str) -> list[str]:
    return [file for file, names in importers(package).items() if name in names]


def test_the_sdk_knows_neither_of_the_others() -> None:
    assert who_imports("bench", "sdk") == []
    assert who_imports("mock_server", "sdk") == ["sdk/local.py"]  # for type checkers alone


def test_what_the_sdk_lends_from_the_server_is_imported_when_asked_for() -> None:
    code = "import sys, sdk; before = set(sys.modules); sdk.ModelType; print(*set(sys.modules) - before)"
    loaded = subprocess.run([sys.executable, "-c", code], cwd=ROOT, capture_output=True, text=True, check=True).stdout
    assert "mock_server.offline" in loaded.split()
    light = subprocess.run(
        [sys.executable, "-c", "import sys, sdk; print(*sys.modules)"], cwd=ROOT, capture_output=True, text=True
    )
    assert not [name for name in light.stdout.split() if name.startswith("mock_server")]


def test_facts_about_the_distribution_depend_on_no_package_of_it() -> None:
    assert [file for file, names in importers("streamgauge").items() if names & {*PACKAGES}] == []


def test_the_server_knows_neither_of_the_others() -> None:
    """Its commands that talk to a model are clients, of a server in their own process or of another."""
    clients = ("mock_server/infer/", "mock_server/chat_page/")
    assert [file for file in who_imports("sdk", "mock_server") if not file.startswith(clients)] == []
    assert who_imports("bench", "mock_server") == []


def test_the_bench_knows_the_sdk_through_one_module_and_never_the_server() -> None:
    assert who_imports("sdk", "bench") == ["bench/target.py"]
    assert who_imports("mock_server", "bench") == []


@pytest.mark.parametrize("package", PACKAGES)
def test_vllm_is_imported_in_one_file(package: str) -> None:
    assert len(who_imports("vllm", package)) <= (1 if package == "mock_server" else 0)


def test_importing_the_sdk_is_light() -> None:
    heavy = {"fastapi", "starlette", "uvicorn", "rich", "numpy", "vllm", "torch", "click", "httpx2", "httpx"}
    code = "import sys; from sdk import *; print(*{name.partition('.')[0] for name in sys.modules})"
    loaded = subprocess.run([sys.executable, "-c", code], cwd=ROOT, capture_output=True, text=True, check=True).stdout
    assert heavy & set(loaded.split()) == set()


@pytest.mark.parametrize(
    ("program", "not_loaded"),
    [
        ("import sdk", {"pydantic", "msgspec", "asyncio", "ssl"}),
        ("from sdk import inference_client, get_model_list_client", {"pydantic", "asyncio", "ssl"}),
        ("from sdk import inference_client_async, Timeouts, SDKError", {"pydantic", "asyncio", "ssl"}),
        ("import sdk; sdk.InferenceClient('http://h').close()", {"asyncio", "pydantic.main", "sdk.types", "httpx2"}),
        ("from sdk import InferenceClient, AsyncInferenceClient", {"pydantic.main", "sdk.types", "importlib.metadata"}),
        ("from sdk import XRequestConfig", {"sdk.types", "asyncio", "importlib.metadata"}),
    ],
)
def test_what_a_program_does_not_use_is_not_imported(program: str, not_loaded: set[str]) -> None:
    """`benchmarks/import_time.py` says what it comes to in time."""
    code = f"import sys; {program}; print(*sys.modules)"
    loaded = subprocess.run([sys.executable, "-c", code], cwd=ROOT, capture_output=True, text=True, check=True).stdout
    assert not_loaded & set(loaded.split()) == set()


def test_every_public_name_is_there_and_listed() -> None:
    import sdk

    assert sorted(sdk.__all__) == sdk.__all__
    assert [getattr(sdk, name).__name__ for name in sdk.__all__] == sdk.__all__
    assert set(sdk.__all__) == {name for names in sdk._HOMES.values() for name in names}
    with pytest.raises(AttributeError, match="no_such_name"):
        sdk.no_such_name  # noqa: B018


def test_annotations_of_public_functions_and_methods_can_be_resolved() -> None:
    import sdk

    public = [getattr(sdk, name) for name in sdk.__all__]
    functions = [each for each in public if inspect.isfunction(each)]
    for each in filter(inspect.isclass, public):
        functions += [found for name, found in vars(each).items() if inspect.isfunction(found) and name[0] != "_"]
    for each in functions:
        assert set(get_type_hints(each)) == set(each.__annotations__)
    assert get_type_hints(sdk.inference_client)["request_config"] == sdk.XRequestConfig[Any] | None
