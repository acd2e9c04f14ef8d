"""The other side of benchmarks/server.py: the least that uvicorn can serve a stream with, one ready frame a call.

`python bare_app.py PORT paced|instant N` streams N frames; paced: one each 25 ms.
"""

from __future__ import annotations

import asyncio
import sys

import uvicorn
from starlette.types import ASGIApp, Receive, Scope, Send

FRAME = (
    b'data: {"id":"chatcmpl-0123456789abcdef0123456789abcdef","object":"chat.completion.chunk","created":1700000000,'
    b'"model":"sim-chat","choices":[{"index":0,"delta":{"content":" something"},"logprobs":null,"finish_reason":null}]}'
    b"\n\n"
)
INTERVAL_S = 0.025
_HEADERS = [(b"content-type", b"text/event-stream; charset=utf-8")]


def make_app(paced: bool, frames: int) -> ASGIApp:
    async def app(scope: Scope, receive: Receive, send: Send) -> None:
        if scope["method"] == "GET":
            await send({"type": "http.response.start", "status": 200, "headers": []})
            await send({"type": "http.response.body", "body": b"{}"})
            return
        while (await receive()).get("more_body"):
            pass
        await send({"type": "http.response.start", "status": 200, "headers": _HEADERS})
        loop = asyncio.get_running_loop()
        began = loop.time()
        for number in range(frames):
            if paced:
                await asyncio.sleep(began + (number + 1) * INTERVAL_S - loop.time())
            await send({"type": "http.response.body", "body": FRAME, "more_body": True})
            if not paced and number % 32 == 31:
                await asyncio.sleep(0)
        await send({"type": "http.response.body", "body": b"data: [DONE]\n\n", "more_body": False})

    return app


if __name__ == "__main__":
    port, kind, frames = sys.argv[1:]
    uvicorn.run(make_app(kind == "paced", int(frames)), port=int(port), http="httptools", loop="uvloop", ws="none",
                lifespan="off", access_log=False, log_level="warning")  # fmt: skip
