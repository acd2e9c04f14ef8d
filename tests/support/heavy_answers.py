"""Small answers that take much memory to read, by name, and the program of a client that asks for each and reports.

`python -m tests.support.heavy_answers ROOT` asks for all and writes a line of JSON for each.
"""

from __future__ import annotations

import json
import re
import sys
from pathlib import Path

from sdk import InferenceClient, RetryPolicy, SDKError
from tests.support.wire import HEADERS, Peer, WireServer

SIZE = 2 << 20


def _many(begin: bytes, item: bytes, end: bytes, size: int = SIZE) -> bytes:
    return begin + b",".join([item] * (size // (len(item) + 1))) + end


_MESSAGE = b'{"choices":[{"message":{"content":"a",%b['
_FINE = b'{"choices":[{"message":{"content":"a"}}],'
ANSWERS: dict[str, bytes] = {
    "tool calls that are texts": _many(_MESSAGE % b'"tool_calls":', b'"a"', b"]}}]}"),
    "choices that are texts": _many(b'{"choices":[', b'"a"', b"]}"),
    "choices that are empty": _many(b'{"choices":[', b"{}", b"]}"),
    "content of texts": _many(b'{"choices":[{"message":{"content":[', b'"a"', b"]}}]}"),
    "content of parts": _many(b'{"choices":[{"message":{"content":[', b'{"type":"text","text":"a"}', b"]}}]}"),
    "arguments": _many(_MESSAGE % b'"function_call":{"arguments":', b'"a"', b"]}}}]}"),
    "index": _many(b'{"choices":[{"message":{"content":"a"},"index":[', b'"a"', b"]}]}"),
    "log probabilities": _many(b'{"choices":[{"message":{"content":"a"},"logprobs":[', b"1.5", b"]}]}"),
    "unknown field": _many(_FINE + b'"x":[', b'{"a":1}', b"]}"),
    "deep lists": _many(_FINE + b'"x":[', b"[" * 100 + b"]" * 100, b"]}"),
    "keys twice": _many(_FINE[:-1] + b",", b'"x":{"a":[]}', b"}"),
    "error": _many(b'{"error":[', b'"a"', b"]}"),
    "event of calls": _many(b'{"choices":[{"delta":{"tool_calls":[', b'{"function":{}}', b"]}}]}", 1_000_000),
    "event of choices": _many(b'{"choices":[', b'{"delta":{}}', b"]}", 1_000_000),
    "models that are texts": _many(b'{"data":[', b'"a"', b"]}"),
    "models without names": _many(b'{"data":[', b'{"created":1}', b"]}"),
}


def heavy_server() -> WireServer:
    """Answers `/NUMBER/v1/…` by what has that number."""
    answers = list(ANSWERS.items())

    def play(peer: Peer) -> None:
        while found := re.search(rb" /(\d+)/v1/", peer.read_request()):
            name, body = answers[int(found[1])]
            if name.startswith("event"):
                peer.send(HEADERS)
                peer.chunk(b"data: " + body + b"\n\ndata: [DONE]\n\n")
                peer.end()
            else:
                peer.answer(body)

    return WireServer(play)


def main(root: str) -> None:
    process = Path("/proc/self")
    for number, name in enumerate(ANSWERS):
        (process / "clear_refs").write_text("5")
        with InferenceClient(f"{root}/{number}/v1", retries=RetryPolicy(0), timeout=60) as client:
            try:
                if name.startswith("event"):
                    stream = client.chat_stream("m", "q")
                    _ = list(stream), stream.tool_calls
                else:
                    client.models() if name.startswith("models") else client.chat("m", "q")
                end = "answer"
            except SDKError as error:
                end = type(error).__name__
        (peak,) = re.findall(r"VmHWM:\s+(\d+)", (process / "status").read_text())
        print(json.dumps({"name": name, "end": end, "peak_mb": int(peak) // 1024}), flush=True)


if __name__ == "__main__":
    main(*sys.argv[1:])
