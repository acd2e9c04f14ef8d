"""What a hostile server sends without end, by name, and the program of a client that asks for it and reports itself.

`python -m tests.support.endless_kinds WAY ROOT [NAME ...]` asks for each in one way and writes a line of JSON for each.
"""

from __future__ import annotations

import ctypes
import gc
import json
import re
import sys
import time
from collections.abc import Callable
from dataclasses import dataclass, field
from functools import partial
from pathlib import Path
from typing import Any

from sdk import RetryPolicy
from sdk.transport.event_loop import sleep
from tests.support.open_sockets import sockets_to
from tests.support.ways import WAYS, Asker, ask
from tests.support.wire import HEADERS, Peer, WireServer

JSON_HEAD = b"HTTP/1.1 200 OK\r\nContent-Type: application/json\r\nTransfer-Encoding: chunked\r\n\r\n"
BLOCK = 64 * 1024


def chunked(data: bytes) -> bytes:
    return b"%x\r\n%b\r\n" % (len(data), data)


def _event(delta: bytes, more: bytes = b"") -> bytes:
    return b'data: {"choices":[{"index":0,"delta":{%b}%b}]}\n\n' % (delta, more)


@dataclass(frozen=True)
class Endless:
    """Sent are `begin`, then `block` again and again; `number` in a block is replaced by one that goes up."""

    begin: bytes
    block: bytes
    how: str = "chat"
    options: dict[str, Any] = field(default_factory=dict)
    fields: dict[str, Any] = field(default_factory=dict)

    def blocks(self) -> Callable[[int], bytes]:
        """The n-th thing to send."""
        count = max(1, BLOCK // len(self.block))
        if b"NUMBER" not in self.block:
            whole = self.block * count
            return lambda n: whole
        return lambda n: b"".join(self.block.replace(b"NUMBER", b"%d" % (n * count + k)) for k in range(count))


class Body(Endless):
    """One whose blocks are chunks of a body."""

    def blocks(self) -> Callable[[int], bytes]:
        make = super().blocks()
        return lambda n: chunked(make(n))


def _stream(block: bytes, begin: bytes = b"", **rest: Any) -> Body:
    return Body(HEADERS + (chunked(begin) if begin else b""), block, "stream", **rest)


SMALL = {"max_answer_bytes": 1 << 20}
BEGIN = b'{"choices":[{"message":{"content":"'
WHOLE: dict[str, Endless] = {
    "whole answer": Body(JSON_HEAD + chunked(BEGIN), b"x"),
    "whole answer of spaces": Body(JSON_HEAD, b" "),
    "whole answer by bytes": Endless(JSON_HEAD, b"1\r\n \r\n", options=SMALL),
    "whole answer to the end of the connection": Endless(b"HTTP/1.1 200 OK\r\n\r\n" + BEGIN, b"x"),
    "whole answer of an absurd length": Endless(b"HTTP/1.1 200 OK\r\nContent-Length: 99999999999999\r\n\r\n", b"x"),
    "list of models": Body(JSON_HEAD + chunked(b'{"data":['), b'{"id":"m"},', "models"),
    "error": Body(JSON_HEAD.replace(b"200 OK", b"400 No"), b"x"),
}
HEADS: dict[str, Endless] = {
    "status line": Endless(b"HTTP/1.1 200 ", b"x"),
    "header line": Endless(b"HTTP/1.1 200 OK\r\nA: ", b"x"),
    "name of a header": Endless(b"HTTP/1.1 200 OK\r\n", b"x"),
    "headers": Endless(b"HTTP/1.1 200 OK\r\n", b"A: b\r\n"),
    "blank lines before the answer": Endless(b"", b"\r\n"),
    "interim answers": Endless(b"", b"HTTP/1.1 103 Early Hints\r\nLink: </a>\r\n\r\n"),
    "bare interim answers": Endless(b"", b"HTTP/1.1 100 Continue\r\n\r\n"),
    "size of a chunk": Endless(HEADERS, b"0"),
    "extension of a chunk": Endless(HEADERS + b"5;", b"a"),
    "extensions of chunks": Endless(HEADERS + b"5", b";a=b"),
    "trailers": Endless(HEADERS + b"2\r\n{}\r\n0\r\n", b"A: b\r\n"),
    "trailer line": Endless(HEADERS + b"2\r\n{}\r\n0\r\nA: ", b"x"),
    "trailers behind a stream": Endless(HEADERS + chunked(_event(b'"content":"a"')) + b"0\r\n", b"A: b\r\n", "stream"),
    "extension in a stream": Endless(HEADERS + chunked(_event(b'"content":"a"')) + b"5;", b"a", "stream"),
}
STREAMS: dict[str, Endless] = {
    "comments": _stream(b": still here\n\n"),
    "empty comments": _stream(b":\n"),
    "one comment": _stream(b"x", b":"),
    "blank lines": _stream(b"\n"),
    "carriage returns": _stream(b"\r"),
    "events without choices": _stream(b"data: {}\n\n"),
    "empty events": _stream(b"data:\n\n"),
    "events of another kind": _stream(b"event: ping\ndata: {}\n\n"),
    "empty deltas": _stream(_event(b"")),
    "usage": _stream(b'data: {"choices":[],"usage":{"completion_tokens":NUMBER}}\n\n'),
    "one event": _stream(b"x", b"data: "),
    "one event of many lines": _stream(b"data: ab\n"),
    "one event by bytes": Endless(HEADERS + chunked(b"data: "), b"2\r\nxx\r\n", "stream"),
    "text": _stream(_event(b'"content":"%b"' % (b"x" * 8000))),
    "small pieces": _stream(_event('"content":"é"'.encode()), options=SMALL),
    "wide text": _stream(_event('"content":"{}"'.format("🙂" * 2000).encode())),
    "mixed text": _stream(_event(b'"content":"%b"' % (b"x" * 8000)), _event('"content":"🙂"'.encode())),
    "reasoning": _stream(_event(b'"reasoning_content":"%b"' % (b"x" * 8000))),
    "refusal": _stream(_event(b'"refusal":"%b"' % (b"x" * 8000))),
    "arguments": _stream(_event(b'"tool_calls":[{"index":0,"function":{"arguments":"%b"}}]' % (b"[" * 8000))),
    "name of a call": _stream(_event(b'"tool_calls":[{"index":0,"function":{"name":"%b"}}]' % (b"x" * 100))),
    "calls": _stream(
        _event(b'"tool_calls":[{"index":NUMBER,"id":"NUMBER","function":{"name":"f","arguments":"{}"}}]'), options=SMALL
    ),
    "ids of calls": _stream(
        _event(b'"tool_calls":[{"id":"NUMBER","function":{"arguments":"a"}}]'),
        _event(b'"tool_calls":[{"id":"a","function":{"name":"f","arguments":"{"}}]'),
        options=SMALL,
    ),
    "function call": _stream(_event(b'"function_call":{"arguments":"%b"}' % (b"x" * 8000))),
    "answers": _stream(b'data: {"choices":[{"index":NUMBER,"delta":{"content":"a"}}]}\n\n'),
    "tokens beyond those asked for": _stream(_event(b'"content":"a"'), fields={"max_tokens": 1}),
    "tokens behind the finish reason": _stream(
        _event(b'"content":"a"'), _event(b"", b',"finish_reason":"stop"'), fields={"max_tokens": 1}
    ),
}
ALL = WHOLE | HEADS | STREAMS


def endless_server() -> WireServer:
    """Answers `/NUMBER/v1/…` by what has that number."""
    names = list(ALL)

    def play(peer: Peer) -> None:
        request = peer.read_request()
        found = re.search(rb" \S*?/(\d+)/v1/", request)
        if found is None:
            return
        endless = ALL[names[int(found[1])]]
        peer.send(endless.begin)
        make, n = endless.blocks(), 0
        while True:
            peer.send(make(n))
            n += 1

    return WireServer(play)


async def _end(asker: Asker, endless: Endless, port: int) -> tuple[str, str, int]:
    """How the call ends: its error, in words, too, and how many connections stay open though the client is kept."""
    try:
        if endless.how == "models":
            await asker.models()
        elif endless.how == "chat":
            await asker.chat()
        else:
            stream = await asker.stream(**endless.fields)
            async for _ in asker.read(stream):
                pass
    except Exception as error:
        kind, words = type(error).__name__, str(error)
    else:
        kind = words = "no error"
    for _ in range(200):
        if not (left := sockets_to(port)):
            break
        for connection in left:
            connection.close()
        await (_blocking_pause() if asker.is_sync else sleep(0.01))
    return kind, words, len(left)


async def _blocking_pause() -> None:
    time.sleep(0.01)  # noqa: ASYNC251 - it runs on no event loop


def main(way_name: str, root: str, *names: str) -> None:
    (way,) = (way for way in WAYS if way.name == way_name)
    process = Path("/proc/self")
    for number, (name, endless) in enumerate(ALL.items()):
        if names and name not in names:
            continue
        gc.collect()
        ctypes.CDLL(None).malloc_trim(0)  # what an earlier one left does not count
        (process / "clear_refs").write_text("5")
        since = time.monotonic()
        kind, words, left = ask(
            way,
            f"{root}/{number}/v1",
            partial(_end, endless=endless, port=int(root.rpartition(":")[2])),
            timeout=20,
            retries=RetryPolicy(0),
            **endless.options,
        )
        (peak,) = re.findall(r"VmHWM:\s+(\d+)", (process / "status").read_text())
        said = {"name": name, "error": kind, "words": words[:300], "peak_mb": int(peak) // 1024, "open": left}
        print(json.dumps(said | {"s": round(time.monotonic() - since, 1)}), flush=True)


if __name__ == "__main__":
    main(*sys.argv[1:])
