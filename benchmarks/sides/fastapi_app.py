"""A side of benchmarks/server.py: the same frames through FastAPI's StreamingResponse.

`python fastapi_app.py PORT paced|instant N` streams N frames; paced: one each 25 ms.
"""

from __future__ import annotations

import asyncio
import sys
from collections.abc import AsyncIterator
from typing import Any

import uvicorn
from bare_app import FRAME, INTERVAL_S
from fastapi import Body, FastAPI
from fastapi.responses import StreamingResponse


def make_app(paced: bool, frames: int) -> FastAPI:
    app = FastAPI()

    async def stream() -> AsyncIterator[bytes]:
        loop = asyncio.get_running_loop()
        began = loop.time()
        for number in range(frames):
            if paced:
                await asyncio.sleep(began + (number + 1) * INTERVAL_S - loop.time())
            yield FRAME
            if not paced and number % 32 == 31:
                await asyncio.sleep(0)
        yield b"data: [DONE]\n\n"

    @app.get("/health")
    async def health() -> dict[str, str]:
        return {}

    @app.post("/v1/chat/completions")
    async def chat(body: dict[str, Any] = Body()) -> StreamingResponse:  # noqa: B008 - FastAPI's way
        return StreamingResponse(stream(), media_type="text/event-stream")

    return app


if __name__ == "__main__":
    port, kind, frames = sys.argv[1:]
    uvicorn.run(make_app(kind == "paced", int(frames)), port=int(port), http="httptools", loop="uvloop", ws="none",
                lifespan="off", access_log=False, log_level="warning")  # fmt: skip
