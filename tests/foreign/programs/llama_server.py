"""llama.cpp's own HTTP server, by the package xllamacpp, with its defaults but for the arguments. Ends at SIGTERM.

usage: llama_server.py MODEL.gguf PORT SLOTS CONTEXT
"""

from __future__ import annotations

import signal
import sys

import xllamacpp


def main() -> None:
    model, port, slots, context = sys.argv[1:]
    parameters = xllamacpp.CommonParams()
    parameters.model.path = model
    parameters.model_alias = {"llama"}
    parameters.hostnames = ["127.0.0.1"]
    parameters.port = int(port)
    parameters.n_parallel = int(slots)
    parameters.n_ctx = int(context)  # divided among the slots
    server = xllamacpp.Server(parameters)
    print("ready", server.listening_address, flush=True)
    signal.sigwait({signal.SIGTERM, signal.SIGINT})


if __name__ == "__main__":
    main()
