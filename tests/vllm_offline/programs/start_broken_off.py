"""Ctrl-C while the engine starts in a process of its own, in a program that has a worker of its own.

usage: start_broken_off.py MODEL; the last line printed is JSON.
"""

from __future__ import annotations

import json
import multiprocessing
import os
import signal
import sys
import threading
import time

from sdk import get_vllm_engine


def interrupt_once_vllm_has_begun() -> None:
    while len(multiprocessing.active_children()) < 2:
        time.sleep(0.05)
    os.kill(os.getpid(), signal.SIGINT)


def main() -> None:
    os.environ["VLLM_ENABLE_V1_MULTIPROCESSING"] = "1"
    worker = multiprocessing.get_context("spawn").Process(target=time.sleep, args=(600,))
    worker.start()
    threading.Thread(target=interrupt_once_vllm_has_begun, daemon=True).start()
    interrupted = False
    try:
        get_vllm_engine(None, "fp32", model_id_or_path=sys.argv[1], enforce_eager=True, max_model_len=512)
    except KeyboardInterrupt:
        interrupted = True
    left = multiprocessing.active_children()
    print(json.dumps({"interrupted": interrupted, "worker lives": worker.is_alive(), "left": len(left)}))
    worker.kill()


if __name__ == "__main__":
    main()
