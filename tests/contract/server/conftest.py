"""One suite over every engine: each test runs on each of them, through the same API."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import ExitStack
from dataclasses import dataclass

import httpx
import pytest

from mock_server.engine.base import Adapter, Engine
from mock_server.settings import ServerSettings
from tests.support.real_apps import MAX_MODEL_LEN, OPTIONS_OF, real_apps
from tests.support.real_models import CACHE, tiny_model
from tests.support.serving import Serving, scripted_engine, serving, simulated_engine

ENGINES: dict[str, Callable[[], Engine]] = {"sim": simulated_engine, "scripted": scripted_engine}


@dataclass(frozen=True)
class Facts:
    """Where engines differ and none is at fault."""

    max_model_len: int
    endless: int
    """More tokens than any test waits for."""
    adapters: tuple[Adapter, ...]
    makes_sense: bool
    """Answers end by themselves, tokenizing one gives its tokens again, and each token is an event of its own.

    Of a real model none of it is certain: two tokens that came together are one delta.
    """


SIMULATED = Facts(32_768, 30_000, (Adapter("default-lora", "/a"), Adapter("my_tuner", "/b")), makes_sense=True)
REAL = Facts(
    MAX_MODEL_LEN,
    1_900,
    (Adapter("default-lora", str(CACHE / "tiny" / "one")), Adapter("my_tuner", str(CACHE / "tiny" / "two"))),
    makes_sense=False,
)


@pytest.fixture(
    scope="session",
    params=[*ENGINES, *(pytest.param(name, marks=pytest.mark.vllm) for name in OPTIONS_OF)],
)
def engine_name(request: pytest.FixtureRequest) -> str:
    return str(request.param)


@pytest.fixture(scope="session")
def facts(engine_name: str) -> Facts:
    return SIMULATED if engine_name in ENGINES else REAL


@pytest.fixture(scope="session")
def started(engine_name: str) -> Iterator[Callable[[ServerSettings], Serving]]:
    """Starts servers over this engine that live as long as the engine's tests."""
    with ExitStack() as stack:
        if engine_name in ENGINES:
            yield lambda settings: stack.enter_context(serving(ENGINES[engine_name](), settings))
        else:
            start = stack.enter_context(real_apps(engine_name, tiny_model() / "model"))
            yield lambda settings: Serving(start(settings))


@pytest.fixture(scope="session")
def server(started: Callable[[ServerSettings], Serving], facts: Facts) -> Serving:
    """A chat model under two names, with two adapters."""
    return started(
        ServerSettings(model_names=("sim-chat", "org/sim-chat"), adapters=facts.adapters, runtime_adapters=True)
    )


@pytest.fixture(scope="session")
def base_server(started: Callable[[ServerSettings], Serving]) -> Serving:
    """A base model: completions only."""
    return started(ServerSettings(model_names=("sim-base",), is_chat=False))


@pytest.fixture(scope="session")
def guarded_server(started: Callable[[ServerSettings], Serving]) -> Serving:
    """Two API keys open it."""
    return started(ServerSettings(api_keys=("key-one", "key-two")))


@pytest.fixture(scope="session")
def http(server: Serving) -> Iterator[httpx.Client]:
    """A raw client at the root of `server`."""
    with httpx.Client(base_url=server.root, timeout=120) as client:
        yield client
