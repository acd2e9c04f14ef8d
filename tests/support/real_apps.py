"""Several servers of this project over one engine with a real model, in a process of the environment that has vLLM.

Run as a module there, it reads a line of settings for each server that is wanted, and answers with its address.
"""

from __future__ import annotations

import asyncio
import contextlib
import os
import subprocess
import sys
from collections.abc import Callable, Iterator
from pathlib import Path

from pydantic import TypeAdapter

from mock_server.settings import ServerSettings
from tests.support.real_models import PYTHON, ROOT, VLLM_ENVIRONMENT

MAX_MODEL_LEN = 2048
OPTIONS = {
    "dtype": "float32",  # in bfloat16 the same request answers otherwise beside others than alone
    "max_model_len": MAX_MODEL_LEN,
    "kv_cache_memory_bytes": 64 * 1024**2,
    "enable_lora": True,
    "max_loras": 3,
    "max_lora_rank": 8,
    "override_generation_config": {"max_new_tokens": 48},
}
OPTIONS_OF = {"vllm": {"enforce_eager": True}, "transformers": {}}
"""Further ones, by the engine's name."""
SETTINGS = TypeAdapter(ServerSettings)


@contextlib.contextmanager
def real_apps(engine: str, model: Path) -> Iterator[Callable[[ServerSettings], str]]:
    """Starts the engine; what it yields starts a server with these settings, and gives its address."""
    process = subprocess.Popen(
        [str(PYTHON), "-m", "tests.support.real_apps", engine, str(model)],
        cwd=ROOT,
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        text=True,
        env={**os.environ, **VLLM_ENVIRONMENT},
    )
    if process.stdin is None or process.stdout is None:
        raise RuntimeError("the process has no pipes")
    stdin, stdout = process.stdin, process.stdout

    def start(settings: ServerSettings) -> str:
        stdin.write(SETTINGS.dump_json(settings).decode() + "\n")
        stdin.flush()
        url = stdout.readline().rstrip("\n")
        if not url:
            raise RuntimeError(f"the servers over {engine} ended with {process.wait()}; their log is above")
        return url

    try:
        yield start
    finally:
        stdin.close()
        with contextlib.suppress(subprocess.TimeoutExpired):
            process.wait(30)
        process.kill()
        process.wait()
        stdout.close()


async def serve_each_line(name: str, model: str, answer: Callable[[str], object]) -> None:
    """Until standard input ends."""
    import uvicorn

    from mock_server.app import create_app
    from mock_server.engine.kind import ServedModel
    from mock_server.engine.registry import find_kind, make_engine
    from mock_server.process.http_protocol import HttpProtocol
    from mock_server.process.listener import Listener

    options = find_kind(name).options(**OPTIONS, **OPTIONS_OF[name])
    engine = make_engine(name, ServedModel("model", model), options)
    await engine.start()
    servers: list[tuple[uvicorn.Server, asyncio.Task[None]]] = []
    while line := await asyncio.to_thread(sys.stdin.readline):
        app = create_app(engine, SETTINGS.validate_json(line))
        await app.state.server.models.add_adapters()
        listener = Listener.bind("127.0.0.1", 0)
        listener.socket.listen(1024)
        server = uvicorn.Server(uvicorn.Config(app, http=HttpProtocol, ws="none", lifespan="off", log_config=None))
        servers.append((server, asyncio.create_task(server.serve(sockets=[listener.socket]))))
        answer(listener.url)
    for server, task in servers:
        server.should_exit = True
        await task
    await engine.stop()


def main() -> None:
    stdout = os.fdopen(os.dup(1), "w")
    os.dup2(2, 1)  # what libraries print is log
    asyncio.run(serve_each_line(*sys.argv[1:], lambda url: print(url, file=stdout, flush=True)))


if __name__ == "__main__":
    main()
