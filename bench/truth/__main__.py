"""`python -m bench.truth`: the truth server alone. It ends with SIGTERM, or with `--until-stdin-closes`."""

from __future__ import annotations

import argparse
import gc
import os
import resource
import select
import signal
import socket
import sys
from pathlib import Path

from bench.truth.script import TOKENS, Order
from bench.truth.server import TruthServer


def main() -> None:
    parser = argparse.ArgumentParser(
        prog="python -m bench.truth", description="Serve scripted answers and log when they were written."
    )
    parser.add_argument("--port", type=int, default=0)
    parser.add_argument("--ttft-ms", type=float, default=0.0)
    parser.add_argument("--itl-ms", type=float, default=0.0)
    parser.add_argument("--log", type=Path, required=True)
    parser.add_argument("--until-stdin-closes", action="store_true")
    options = parser.parse_args()
    _, most = resource.getrlimit(resource.RLIMIT_NOFILE)
    resource.setrlimit(resource.RLIMIT_NOFILE, (most, most))
    ended: list[int] = []
    signal.signal(signal.SIGTERM, lambda number, frame: ended.append(number))
    with socket.create_server(("127.0.0.1", options.port), backlog=4096) as listener:
        order = Order("one", TOKENS, options.ttft_ms, options.itl_ms)
        options.log.touch()
        server = TruthServer(listener, order, options.log)
        gc.freeze()
        gc.disable()  # a pause would delay every stream; memory grows only with the log
        print(f"ready http://127.0.0.1:{listener.getsockname()[1]}", flush=True)  # noqa: T201 - who started it waits
        server.run(lambda: bool(ended) or (options.until_stdin_closes and _stdin_closed()))


def _stdin_closed() -> bool:
    ready, _, _ = select.select([sys.stdin], [], [], 0)
    return bool(ready) and not os.read(sys.stdin.fileno(), 1)


if __name__ == "__main__":
    main()
