from __future__ import annotations

import asyncio
import os
import signal
import socket
import subprocess
import sys
import threading
from collections.abc import Iterator
from pathlib import Path

import pytest

from mock_server.embedded.server import EmbeddedServer
from mock_server.engine.base import Adapter
from mock_server.engine.errors import AdapterError, EngineDeadError, EngineStartError
from mock_server.engine.sim.clock import RealClock
from mock_server.engine.sim.scripted import ScriptedEngine
from mock_server.settings import ServerSettings
from sdk import AuthenticationError, InferenceClient, SDKError
from tests.support.serving import simulated_engine
from tests.unit.mock_server.offline.engines import TOKENIZER, one_word_then_nothing, scripted

ROOT = Path(__file__).parents[4]
THREAD = "embedded server"


def threads() -> list[str]:
    return [thread.name for thread in threading.enumerate() if thread.name == THREAD]


@pytest.fixture(autouse=True)
def _leaves_no_thread() -> Iterator[None]:
    yield
    assert threads() == []


def test_a_client_talks_to_it_as_to_any_server() -> None:
    settings = ServerSettings(model_names=("main", "other"), adapters=(Adapter("tuned"),), api_keys=("not this",))
    with EmbeddedServer(simulated_engine(), settings) as server:
        assert server.models == ("main", "other", "tuned")
        with InferenceClient(server.base_url, api_key=server.api_key) as client:
            assert client.chat("tuned", "hello", max_tokens=4).usage.completion_tokens == 4
            assert list(client.chat_stream("main", "hello", max_tokens=4))
        with pytest.raises(AuthenticationError):
            InferenceClient(server.base_url, api_key="not this").models()
        port = int(server.base_url.split(":")[2].split("/")[0])
    with pytest.raises(ConnectionRefusedError):
        socket.create_connection(("127.0.0.1", port))


class _Failing(ScriptedEngine):
    async def start(self) -> None:
        raise EngineStartError("no memory: use a smaller model")


class _Refusing(ScriptedEngine):
    async def add_adapter(self, adapter: Adapter) -> None:
        raise AdapterError(f"{adapter.name} is of another base")


def test_the_reason_why_it_cannot_start_reaches_the_caller() -> None:
    failing = _Failing(one_word_then_nothing, RealClock(), TOKENIZER)
    with pytest.raises(EngineStartError, match="use a smaller model"), EmbeddedServer(failing, ServerSettings()):
        pass
    refusing = _Refusing(one_word_then_nothing, RealClock(), TOKENIZER)
    settings = ServerSettings(adapters=(Adapter("tuned"),))
    with pytest.raises(AdapterError, match="another base"), EmbeddedServer(refusing, settings):
        pass


def test_answers_in_progress_end_with_the_block() -> None:
    engine = scripted(one_word_then_nothing)
    with EmbeddedServer(engine, ServerSettings()) as server:
        client = InferenceClient(server.base_url, api_key=server.api_key)
        stream = client.chat_stream("sim-chat", "go on")
        while not stream.text:
            next(stream)
    with pytest.raises(SDKError, match="shutting down"):
        list(stream)
    client.close()


class _Dying(ScriptedEngine):
    """Dies when the test says so."""

    async def start(self) -> None:
        self.is_dying = asyncio.Event()
        self.loop = asyncio.get_running_loop()
        await super().start()

    async def wait_until_dead(self) -> EngineDeadError:
        await self.is_dying.wait()
        return EngineDeadError("the engine has died; the reason is in the log above")


def test_the_death_of_its_engine_is_known() -> None:
    engine = _Dying(one_word_then_nothing, RealClock(), TOKENIZER)
    with EmbeddedServer(engine, ServerSettings()) as server:
        server.check()
        engine.loop.call_soon_threadsafe(engine.is_dying.set)
        while server.death is None:
            os.sched_yield()
        with pytest.raises(EngineDeadError, match="has died"):
            server.check()


class _NeverReady(ScriptedEngine):
    """Says that it is starting, and whether it was told to give up."""

    was_stopped = False

    async def start(self) -> None:
        os.kill(os.getpid(), signal.SIGINT)
        await asyncio.Event().wait()

    async def stop(self) -> None:
        self.was_stopped = True
        await super().stop()


def test_an_interrupted_start_leaves_nothing_running() -> None:
    engine = _NeverReady(one_word_then_nothing, RealClock(), TOKENIZER)
    with pytest.raises(KeyboardInterrupt), EmbeddedServer(engine, ServerSettings()):
        pass
    assert engine.was_stopped


class _InterruptedAtTheEnd(ScriptedEngine):
    was_stopped = False

    async def stop(self) -> None:
        os.kill(os.getpid(), signal.SIGINT)
        await super().stop()
        await asyncio.to_thread(lambda: None)
        self.was_stopped = True


def test_an_impatient_interrupt_does_not_leave_half_an_end() -> None:
    engine = _InterruptedAtTheEnd(one_word_then_nothing, RealClock(), TOKENIZER)
    with EmbeddedServer(engine, ServerSettings()):
        pass
    assert engine.was_stopped


PROGRAM = """
import signal, subprocess, sys
from mock_server.embedded.server import EmbeddedServer
from mock_server.settings import ServerSettings
from tests.support.serving import ScriptedEngine, scripted_engine

class WithChild(ScriptedEngine):
    async def start(self):
        await super().start()
        code = "import sys, time; print('up', flush=True); sys.stdin.read(); print('asked to end', flush=True)"
        self.child = subprocess.Popen([sys.executable, "-c", code], stdin=subprocess.PIPE)
    async def stop(self):
        self.child.communicate()

engine = scripted_engine()
engine.__class__ = WithChild
try:
    with EmbeddedServer(engine, ServerSettings()):
        signal.pause()
except KeyboardInterrupt:
    print("interrupted", engine.child.returncode)
"""


def test_ctrl_c_in_the_terminal_reaches_the_program_and_not_the_engines_processes() -> None:
    """A terminal sends SIGINT to the whole group of processes."""
    program = subprocess.Popen(
        [sys.executable, "-c", PROGRAM], cwd=ROOT, stdout=subprocess.PIPE, text=True, start_new_session=True
    )
    assert program.stdout is not None
    with program.stdout:
        assert program.stdout.readline() == "up\n"
        os.killpg(program.pid, signal.SIGINT)
        assert program.stdout.read() == "asked to end\ninterrupted 0\n"
    assert program.wait(30) == 0
