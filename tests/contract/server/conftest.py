"""One suite over every engine: each test runs on each of them, behind the same wire."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import ExitStack

import httpx
import pytest

from mock_server.engine.base import Adapter, Engine
from mock_server.settings import Settings
from tests.support.serving import Serving, scripted_engine, serving, simulated_engine

ENGINES: dict[str, Callable[[], Engine]] = {"sim": simulated_engine, "scripted": scripted_engine}
ADAPTERS = (Adapter("default-lora", "/a"), Adapter("my_tuner", "/b"))


@pytest.fixture(scope="session", params=ENGINES)
def engine_name(request: pytest.FixtureRequest) -> str:
    return str(request.param)


@pytest.fixture(scope="session")
def started(engine_name: str) -> Iterator[Callable[[Settings], Serving]]:
    """Starts servers over this engine that live as long as the engine's tests."""
    with ExitStack() as stack:
        yield lambda settings: stack.enter_context(serving(ENGINES[engine_name](), settings))


@pytest.fixture(scope="session")
def server(started: Callable[[Settings], Serving]) -> Serving:
    """A chat model under two names, with two adapters."""
    return started(Settings(model_names=("sim-chat", "org/sim-chat"), adapters=ADAPTERS))


@pytest.fixture(scope="session")
def base_server(started: Callable[[Settings], Serving]) -> Serving:
    """A base model: completions only."""
    return started(Settings(model_names=("sim-base",), is_chat=False))


@pytest.fixture(scope="session")
def guarded_server(started: Callable[[Settings], Serving]) -> Serving:
    """Two API keys open it."""
    return started(Settings(api_keys=("key-one", "key-two")))


@pytest.fixture(scope="session")
def http(server: Serving) -> Iterator[httpx.Client]:
    """A raw client at the root of `server`."""
    with httpx.Client(base_url=server.root, timeout=30) as client:
        yield client
