"""Fixtures of the hostile tests: a server with little memory, and a client that measures `/health` throughout."""

from __future__ import annotations

import contextlib
from collections.abc import Callable, Iterator

import pytest

from tests.support.health_probe import MemoryPeak, probing
from tests.support.hostile_check import ADDRESS_SPACE, LIMIT_MB, LIMIT_S, slowdown
from tests.support.serving import ServerProcess, server_process

Watch = Callable[[ServerProcess], contextlib.AbstractContextManager[None]]


@pytest.fixture(scope="module")
def server() -> Iterator[ServerProcess]:
    with server_process("--log-interval", "0", ulimit=ADDRESS_SPACE) as found:
        yield found


@pytest.fixture
def watch(record_property: Callable[[str, object], None]) -> Watch:
    """`with watch(server):` ends with the server alive, quick for another client throughout, and small.

    The longest wait for `/health` is reported when the tests end; the limit allows for a busy machine.
    """

    @contextlib.contextmanager
    def watching(server: ServerProcess) -> Iterator[None]:
        peak, before = MemoryPeak(server), slowdown()
        with probing(server) as waits:
            yield
        record_property("longest wait for /health", waits.worst_s)
        record_property("server memory", peak.megabytes)
        assert server.process.poll() is None
        assert waits.count
        assert waits.worst_s < LIMIT_S * max(before, slowdown())
        assert peak.megabytes < LIMIT_MB

    return watching
