"""Events written straight to the transport are the same bytes as through plain ASGI, whatever the client does."""

from __future__ import annotations

import asyncio
import gc
import json
import re
import socket
from collections.abc import Iterator
from typing import Any, ClassVar

import httpx
import pytest
from starlette.types import ASGIApp, Message, Receive, Scope, Send
from uvicorn.protocols.http.httptools_impl import HttpToolsProtocol

from mock_server.app import create_app
from mock_server.engine.author.prose import Author
from mock_server.engine.author.tokenizer import Tokenizer
from mock_server.engine.base import Delta, DeltaStream
from mock_server.engine.sim.clock import RealClock
from mock_server.engine.sim.profiles import find_profile
from mock_server.engine.sim.simulated import SimulatedEngine
from mock_server.http.body_writer import BodyWriter, body_writer
from mock_server.process.http_protocol import HttpProtocol
from tests.support.serving import QUICK, Serving, serving, serving_app, simulated_engine

PATH = "/v1/chat/completions"
BODY: dict[str, Any] = {
    "messages": [{"role": "user", "content": "hi"}],
    "max_tokens": 40,
    "ignore_eos": True,
    "seed": 3,
}
STREAM = {**BODY, "stream": True}
LONG = {**STREAM, "max_tokens": 30_000}  # more than the buffers between two sockets hold


def request(body: dict[str, Any], *, version: str = "1.1", connection: str = "close") -> bytes:
    payload = json.dumps(body).encode()
    head = (
        f"POST {PATH} HTTP/{version}\r\nhost: x\r\nx-request-id: fixed\r\nconnection: {connection}\r\n"
        f"content-type: application/json\r\ncontent-length: {len(payload)}\r\n\r\n"
    )
    return head.encode() + payload


def connect(served: Serving, data: bytes, *, buffer: int | None = None) -> socket.socket:
    connection = socket.socket()
    if buffer is not None:
        connection.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, buffer)
    host, _, port = served.root.removeprefix("http://").partition(":")
    connection.connect((host, int(port)))
    connection.sendall(data)
    return connection


def read_all(connection: socket.socket) -> bytes:
    with connection:
        return b"".join(iter(lambda: connection.recv(1 << 16), b""))


def responses(data: bytes) -> Iterator[tuple[set[bytes], list[bytes]]]:
    """Of each response the lines of its head and the chunks of its body."""
    while data:
        head, _, data = data.partition(b"\r\n\r\n")
        chunks = []
        while True:
            size, _, data = data.partition(b"\r\n")
            chunk, end, data = data[: int(size, 16)], data[int(size, 16) :][:2], data[int(size, 16) + 2 :]
            assert end == b"\r\n"
            if not chunk:
                break
            chunks.append(chunk)
        yield {line for line in head.split(b"\r\n") if not line.startswith(b"date:")}, chunks


def events(chunks: list[bytes]) -> list[bytes]:
    """The events, and that each chunk holds whole ones."""
    assert all(chunk.endswith(b"\n\n") for chunk in chunks)
    return re.sub(rb'"created":\d+', b'"created":0', b"".join(chunks)).removesuffix(b"\n\n").split(b"\n\n")


def text_of(frames: list[bytes]) -> str:
    *chunks, done = frames
    assert done == b"data: [DONE]"
    return "".join(json.loads(chunk[6:])["choices"][0]["delta"]["content"] for chunk in chunks)


@pytest.mark.parametrize("version", ["1.1", "1.0"])
@pytest.mark.parametrize("options", [{}, {"n": 3}, {"stop": ["e"]}, {"logprobs": True}, {"return_token_ids": True}])
def test_the_fast_way_sends_the_same_bytes_as_plain_asgi(version: str, options: dict[str, Any]) -> None:
    seen = []
    for protocol in (HttpProtocol, HttpToolsProtocol):
        with serving(http=protocol) as served:
            data = read_all(connect(served, request({**STREAM, **options}, version=version)))
        ((head, chunks),) = responses(data)
        seen.append((head, sorted(events(chunks), key=choice_of)))
    assert seen[0] == seen[1]


def choice_of(event: bytes) -> int:
    """Choices come in no set order beside each other."""
    found = re.search(rb'"choices":\[\{"index":(\d+)', event)
    return int(found[1]) if found else -1


def test_a_connection_serves_further_requests_and_pipelined_ones() -> None:
    with serving() as served:
        twice = request(STREAM, connection="keep-alive") * 2
        first, second, last = responses(read_all(connect(served, twice + request(STREAM))))
        assert events(first[1]) == events(second[1]) == events(last[1])
        assert len(events(last[1])) == 42  # the role, each token, the end


def test_a_client_that_reads_late_misses_nothing() -> None:
    engine = simulated_engine(find_profile("instant"))
    with serving(engine) as served, httpx.Client(base_url=served.root) as http:
        connection = connect(served, request(LONG), buffer=4096)
        while http.get("/health").json()["engine"]["generated_tokens"] < 30_000:
            pass
        ((_, chunks),) = responses(read_all(connection))
        assert len(events(chunks)) == 30_002
        whole = http.post(PATH, json={**LONG, "stream": False}).json()
        assert text_of(events(chunks)) == whole["choices"][0]["message"]["content"]


def test_a_client_that_disconnects_while_the_server_waits_for_it_is_forgotten() -> None:
    engine = simulated_engine(find_profile("instant"))
    with serving(engine) as served, httpx.Client(base_url=served.root) as http:
        connection = connect(served, request(LONG), buffer=4096)
        while http.get("/health").json()["engine"]["generated_tokens"] < 30_000:
            pass
        assert http.get("/load").json() == {"server_load": 1}
        connection.close()
        while http.get("/load").json() != {"server_load": 0}:
            pass


def test_an_empty_write_does_not_end_the_body() -> None:
    here, there = socket.socketpair()

    class Connection(asyncio.Protocol):
        def __init__(self) -> None:
            self.lost = asyncio.Event()

        def connection_lost(self, exc: Exception | None) -> None:
            self.lost.set()

    async def scenario() -> None:
        transport, connection = await asyncio.get_running_loop().create_connection(Connection, sock=here)
        writer = BodyWriter(transport)
        for body in (b"a" * 1023, b"", b"b" * 1024):
            writer.write(body)
        transport.close()
        await connection.lost.wait()

    asyncio.run(scenario())
    assert read_all(there) == b"3ff\r\n" + b"a" * 1023 + b"\r\n400\r\n" + b"b" * 1024 + b"\r\n"


class Writes(asyncio.WriteTransport):
    def __init__(self) -> None:
        self.made: list[bytes] = []

    def write(self, data: bytes | bytearray | memoryview) -> None:
        self.made.append(bytes(data))


def test_a_held_head_goes_out_with_its_body_and_nothing_else_is_held() -> None:
    transport = Writes()
    writer = BodyWriter(transport)
    large = b"b" * 100_000
    writer.hold_head()
    for data in (b"head", b"body", b"100 Continue"):
        writer.pass_on(data)
    writer.hold_head()
    for data in (b"head", large):
        writer.pass_on(data)
    assert transport.made == [b"headbody", b"100 Continue", b"head", large]


@pytest.mark.parametrize(("body", "first"), [(BODY, b"}"), (STREAM, b"}\n\n\r\n")], ids=["whole", "stream"])
def test_the_head_goes_out_in_one_write_with_the_data_after_it(body: dict[str, Any], first: bytes) -> None:
    writes: list[bytes] = []

    class Watched(HttpProtocol):
        def connection_made(self, transport: asyncio.Transport) -> None:  # type: ignore[override]
            def write(data: bytes) -> None:
                writes.append(data)
                transport.write(data)

            seen = WatchedTransport(transport, write)
            super().connection_made(seen)  # type: ignore[arg-type]

    class WatchedTransport:
        def __init__(self, transport: asyncio.Transport, write: Any) -> None:
            self._transport = transport
            self.write = write

        def __getattr__(self, name: str) -> Any:
            return getattr(self._transport, name)

    with serving_app(create_app(simulated_engine()), http=Watched) as served:
        answer = read_all(connect(served, request(body)))
    assert b"".join(writes) == answer
    assert writes[0].startswith(b"HTTP/1.1 200 OK\r\n")
    assert writes[0].endswith(first)


class Recorder:
    """Middleware that looks at each event on its way out, or only at the request."""

    def __init__(self, app: ASGIApp, *, wraps: bool) -> None:
        self._app = app
        self._wraps = wraps
        self.bodies: list[bytes] = []
        self.is_direct: list[bool] = []

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        async def recorded(message: Message) -> None:
            if message["type"] == "http.response.body":
                self.bodies.append(message["body"])
            await send(message)

        given: Send = recorded if self._wraps else send
        if scope["type"] == "http":
            self.is_direct.append(body_writer(scope, given) is not None)
        await self._app(scope, receive, given)


@pytest.mark.parametrize(
    ("protocol", "wraps", "is_direct"),
    [(HttpProtocol, False, True), (HttpProtocol, True, False), (HttpToolsProtocol, False, False)],
)
def test_the_writer_is_offered_only_with_the_servers_own_send(
    protocol: type[HttpToolsProtocol], wraps: bool, is_direct: bool
) -> None:
    recorder = Recorder(create_app(simulated_engine()), wraps=wraps)
    with serving_app(recorder, http=protocol) as served:
        ((_, chunks),) = responses(read_all(connect(served, request(STREAM))))
    assert recorder.is_direct == [is_direct]
    assert recorder.bodies == (chunks if wraps else [])


class Pulled:
    """A stream that can only be iterated, as vLLM's."""

    prompt_logprobs = None
    first_token_at = None

    def __init__(self, stream: DeltaStream) -> None:
        self._stream = stream

    def scheduled(self, choice: int) -> None:
        return None

    def unread_tokens(self) -> dict[int, int]:
        return {}

    def __aiter__(self) -> DeltaStream:
        return self

    async def __anext__(self) -> list[Delta]:
        return list(await anext(self._stream))

    async def aclose(self) -> None:
        await self._stream.aclose()


def test_an_engine_that_cannot_call_its_reader_is_awaited() -> None:
    class Pulling(SimulatedEngine):
        async def generate(self, *args: Any, **kwargs: Any) -> Pulled:  # type: ignore[override]
            return Pulled(await super().generate(*args, **kwargs))

    engine = Pulling(QUICK, RealClock(), Author(Tokenizer(), "sim-chat"))
    seen = []
    for each in (engine, simulated_engine()):
        with serving(each) as served:
            ((head, chunks),) = responses(read_all(connect(served, request(STREAM))))
            seen.append((head, events(chunks)))
    assert seen[0] == seen[1]


class Watched(HttpProtocol):
    """Remembers its transports."""

    transports: ClassVar[list[asyncio.Transport]] = []

    def connection_made(self, transport: asyncio.Transport) -> None:  # type: ignore[override]
        self.transports.append(transport)
        super().connection_made(transport)


@pytest.mark.parametrize(
    "options", [{}, {"n": 8, "max_tokens": 4_000}, {"logprobs": True, "top_logprobs": 9, "max_tokens": 4_000}]
)
def test_deltas_for_a_client_that_does_not_read_stay_in_the_engine(options: dict[str, Any]) -> None:
    """The engine goes on to its end; what was written waits in buffers that do not grow."""
    Watched.transports.clear()
    body = {**LONG, **options}
    tokens = body["max_tokens"] * body.get("n", 1)
    with (
        serving(simulated_engine(find_profile("instant")), http=Watched) as served,
        httpx.Client(base_url=served.root) as http,
    ):
        connection = connect(served, request(body), buffer=4096)
        while http.get("/health").json()["engine"]["generated_tokens"] < tokens:
            pass
        held = [transport.get_write_buffer_size() for transport in Watched.transports]
        ((_, chunks),) = responses(read_all(connection))
    size = sum(map(len, chunks))
    assert size > 3_000_000
    assert max(held) < 1_000_000
    assert max(map(len, chunks)) < size / 2


def test_a_client_that_leaves_too_much_unread_gets_an_error() -> None:
    with (
        serving(simulated_engine(find_profile("instant"))) as served,
        httpx.Client(base_url=served.root) as http,
    ):
        connection = connect(served, request({**LONG, "n": 128}), buffer=4096)
        while http.get("/health").json()["engine"]["running"] == 0:
            pass
        while http.get("/health").json()["engine"]["running"]:
            pass
        assert http.get("/health").json()["engine"]["generated_tokens"] < 128 * 30_000
        ((_, chunks),) = responses(read_all(connection))
    *_, error, done = events(chunks)
    assert "the client reads too slowly" in json.loads(error[6:])["error"]["message"]
    assert done == b"data: [DONE]"


def test_an_idle_connection_keeps_nothing_of_the_head_of_its_last_request() -> None:
    def answer(request: bytes, end: bytes) -> bytes:
        idle.sendall(request)
        received = b""
        while not received.endswith(end):  # the head may come before the body
            received += idle.recv(1_000)
        return received

    with serving() as served, connect(served, b"") as idle:
        assert b"{" in answer(b"GET /health?secret HTTP/1.1\r\nhost: x\r\nx-a: secret\r\n\r\n", b"}")
        assert b'{"version"' in answer(b"GET /version?secret HTTP/1.1\r\nhost: x\r\nx-a: secret\r\n\r\n", b"}")
        port = idle.getsockname()[1]
        (protocol,) = (
            found
            for found in gc.get_objects()
            if isinstance(found, HttpProtocol) and found.client == ("127.0.0.1", port)
        )
        assert "secret" not in repr((protocol.url, protocol.headers, protocol.scope, protocol.cycle.scope))


@pytest.mark.parametrize("protocol", ["h2c", "websocket", "x\r\nupgrade: y"])
@pytest.mark.parametrize("pieces", [1, 2, 50])
def test_a_request_to_upgrade_is_answered_like_any_other(protocol: str, pieces: int) -> None:
    """Its body is not read as a request, and the requests that follow on the connection are answered."""
    asks = f"connection: upgrade\r\nupgrade: {protocol}\r\n"
    body = b'{"prompt": "a", "max_tokens": 1, "stop": "GET /ping HTTP/1.1\\r\\n"}'
    last = b"GET /version HTTP/1.1\r\nhost: x\r\nconnection: close\r\n\r\n"
    told = (
        f"POST /v1/completions HTTP/1.1\r\ncontent-type: application/json\r\n{asks}content-length: {len(body)}\r\n\r\n"
    )
    chunked = told.replace(f"content-length: {len(body)}", "transfer-encoding: chunked").encode()
    sent = told.encode() + body + chunked + b"%x\r\n%s\r\n0\r\n\r\n" % (len(body), body)
    sent += f"GET /health HTTP/1.1\r\n{asks}\r\n".encode() + last
    size = -(-len(sent) // pieces)
    with serving() as served, connect(served, sent[:size]) as connection:
        for start in range(size, len(sent), size):
            connection.sendall(sent[start : start + size])
        answers = read_all(connection)
    assert re.findall(rb"HTTP/1.1 (\d+)", answers) == [b"200"] * 4
    assert answers.count(b'"text_completion"') == 2
    assert answers.count(b'{"version"') == 1
