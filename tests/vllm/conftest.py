"""The servers that the slow suite asks: one with the chat model, one where the same model has no chat template."""

from __future__ import annotations

from collections.abc import Generator, Iterator
from pathlib import Path

import pytest

from sdk import InferenceClient
from tests.support.server_program import tail
from tests.support.vllm_server import MODEL_FOLDER, VllmServer, vllm_server

# a request that sets no temperature is greedy here, as an operator may decide
DEFAULTS = ("--override-generation-config", '{"temperature": 0}')


@pytest.fixture(scope="session")
def server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[VllmServer]:
    with vllm_server(tmp_path_factory.mktemp("vllm") / "serve.log", *DEFAULTS) as running:
        yield running


@pytest.fixture(scope="session")
def base_server(tmp_path_factory: pytest.TempPathFactory, server: VllmServer) -> Iterator[VllmServer]:
    """Started second, so that the model is there to be linked to."""
    folder = tmp_path_factory.mktemp("base")
    model = folder / "model"
    model.mkdir()
    for file in MODEL_FOLDER.iterdir():
        if file.name != "chat_template.jinja":
            (model / file.name).symlink_to(file)
    with vllm_server(folder / "serve.log", *DEFAULTS, model=model) as running:
        yield running


@pytest.fixture
def client(server: VllmServer) -> Iterator[InferenceClient]:
    with InferenceClient(server.url) as made:
        yield made


@pytest.hookimpl(wrapper=True)
def pytest_runtest_makereport(item: pytest.Item) -> Generator[None, pytest.TestReport, pytest.TestReport]:
    """Show the end of the server's log under a test that failed."""
    report = yield
    if report.failed:
        for name, used in getattr(item, "funcargs", {}).items():
            if isinstance(used, VllmServer):
                report.sections.append((f"{name}: {used.log}", tail(Path(used.log))))
    return report
