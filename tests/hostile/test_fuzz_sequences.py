"""Sequences of what clients do badly: adapters that come and go, streams left half-read, bodies broken off.

After each of them, requests are answered as if nothing had happened.
"""

from __future__ import annotations

import contextlib
import json
import socket
import struct
from collections.abc import Callable, Iterator
from typing import Any

import pytest
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, initialize, invariant, rule

from tests.support.fuzz_client import address, exchange, head, read_answers
from tests.support.fuzzed_server import DEMO, INSTANT, FuzzedServer, fuzzed_server, run_machine, servers
from tests.support.hostile_json import encoded
from tests.support.hostile_strategies import CHAT, COMPLETIONS, LOAD, UNLOAD, Call, bodies
from tests.support.hostile_values import STRINGS

Report = Callable[[str, object], None]

NAMES = ("tuner", "sim-chat", "new", "a/b", "ünï", "new ", "a" * 3_000, *STRINGS[:12])
MOST_OPEN = 6
QUIET_S = 0.05


@pytest.fixture(scope="module", params=servers(DEMO, INSTANT, fast=DEMO))
def fuzzed(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> Iterator[FuzzedServer]:
    with fuzzed_server(request.param, tmp_path_factory.mktemp("fuzz")) as found:
        yield found


def completion(**fields: Any) -> Call:
    return Call("POST", COMPLETIONS, encoded({"prompt": "a b c", "max_tokens": 4, "seed": 1, **fields}))


STREAM = completion(stream=True, max_tokens=190, ignore_eos=True, n=4)


class Clients(RuleBasedStateMachine):
    """Clients of one server; `server` is set in a subclass for each test."""

    server: FuzzedServer

    def __init__(self) -> None:
        super().__init__()
        self.adapters = {"tuner"}
        self.open: list[socket.socket] = []

    @initialize()
    def restore(self) -> None:
        listed = self.listed()
        for name in listed - {"sim-chat", "tuner"}:
            assert self.post(UNLOAD, lora_name=name) == 200
        if "tuner" not in listed:
            assert self.post(LOAD, lora_name="tuner", lora_path="") == 200

    def post(self, path: str, **fields: Any) -> int:
        return self.server.ask(Call("POST", path, encoded(fields))).status

    def listed(self) -> set[str]:
        answer = self.server.ask(Call("GET", "/v1/models"))
        return {card["id"] for card in json.loads(answer.body)["data"]}

    def connect(self) -> socket.socket:
        return socket.create_connection(address(self.server.process), timeout=20)

    def top(self, call: Call, connection: bytes = b"keep-alive") -> bytes:
        return head(call, self.server.key, connection=connection)

    @rule(name=st.sampled_from(NAMES), in_place=st.booleans())
    def load(self, name: str, in_place: bool) -> None:
        status = self.post(LOAD, lora_name=name, lora_path="/nowhere", load_inplace=in_place)
        assert status in (200, 400, 409)
        if name in self.adapters:
            assert (status == 200) == in_place
        if status == 200:
            self.adapters.add(name)

    @rule(name=st.sampled_from(NAMES))
    def unload(self, name: str) -> None:
        assert (self.post(UNLOAD, lora_name=name) == 200) == (name in self.adapters)
        self.adapters.discard(name)

    @rule(name=st.sampled_from(NAMES))
    def ask_adapter(self, name: str) -> None:
        status = self.server.ask(completion(model=name)).status
        assert (status == 200) == (name in self.adapters or name == "sim-chat")

    @rule(ends=st.sampled_from(["reset", "close", "stays"]), reads=st.sampled_from([0, 1, 300, 3_000]))
    def leave_stream(self, ends: str, reads: int) -> None:
        connection = self.connect()
        connection.sendall(self.top(STREAM) + STREAM.body)
        if reads:
            assert connection.recv(reads)
        self.end(connection, ends)

    @rule(ends=st.sampled_from(["reset", "close", "stays"]), share=st.floats(0, 0.99))
    def break_off_request(self, ends: str, share: float) -> None:
        sent = self.top(STREAM) + STREAM.body
        connection = self.connect()
        connection.sendall(sent[: int(len(sent) * share)])
        self.end(connection, ends)

    @rule(body=bodies(CHAT))
    def ask_badly(self, body: Any) -> None:
        self.server.ask(Call("POST", CHAT, encoded(body)))

    @rule(body=bodies(CHAT), times=st.integers(1, 3))
    def reuse_connection(self, body: Any, times: int) -> None:
        """A bad request, and good ones on the same connection, unless the server closes it."""
        bad, good = Call("POST", CHAT, encoded(body)), completion()
        sent = [self.top(bad) + bad.body, *[self.top(good) + good.body] * times, self.top(good, b"close") + good.body]
        with self.connect() as connection:
            for one in sent[:-1]:
                with contextlib.suppress(ConnectionError):
                    connection.sendall(one)
            with contextlib.suppress(ConnectionError):
                connection.sendall(sent[-1])
            answers = read_answers(connection, 20)
        assert len(answers) == len(sent) or answers[-1].headers.get(b"connection") == b"close"
        assert all(answer.status == 200 for answer in answers[1:])

    @rule(
        calls=st.lists(
            st.sampled_from([completion(), Call("GET", "/health"), Call("POST", CHAT, b"{"), STREAM]), max_size=4
        )
    )
    def pipeline(self, calls: list[Call]) -> None:
        last = completion()
        sent = b"".join(self.top(call) + call.body for call in calls) + self.top(last, b"close") + last.body
        answers = exchange(self.server.process, sent, quiet_s=20)
        assert [answer.status for answer in answers] == [400 if call.body == b"{" else 200 for call in calls] + [200]

    @invariant()
    def models_are_known(self) -> None:
        assert self.listed() == self.adapters | {"sim-chat"}

    def end(self, connection: socket.socket, how: str) -> None:
        if how == "stays" and len(self.open) < MOST_OPEN:
            self.open.append(connection)
            return
        if how == "reset":
            connection.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
        connection.close()

    def teardown(self) -> None:
        for connection in self.open:
            connection.close()
        self.server.wait_idle()
        self.server.check_log()


def run(fuzzed: FuzzedServer, report: Report, examples: int) -> None:
    class OfThisServer(Clients):
        server = fuzzed

    fuzzed.stays_sound(lambda: run_machine(OfThisServer, examples), report)


def test_sequences(fuzzed: FuzzedServer, record_property: Report) -> None:
    run(fuzzed, record_property, 3)


@pytest.mark.slow
@pytest.mark.timeout(600)
def test_many_sequences(fuzzed: FuzzedServer, record_property: Report) -> None:
    run(fuzzed, record_property, 40)
