"""Ctrl-C in the loop over a stream, with vLLM in a process of its own as it is on GPUs; then the engine is asked again.

usage: ctrl_c.py MODEL; the last line printed is JSON.
"""

from __future__ import annotations

import json
import os
import signal
import sys
from typing import Any

from sdk import get_template, get_vllm_engine, inference_stream_vllm, inference_vllm

ROWS = [{"query": f"Tell me about the number {number}."} for number in range(4)]


def main() -> None:
    os.setpgrp()  # the signal is for this program's processes, not for those of the tests
    os.environ["VLLM_ENABLE_V1_MULTIPROCESSING"] = "1"
    found: dict[str, Any] = {"interrupted": False}
    with get_vllm_engine(None, "fp32", model_id_or_path=sys.argv[1], enforce_eager=True, max_model_len=512) as engine:
        template = get_template("tokenizer", engine.hf_tokenizer)
        config = engine.generation_config
        config.max_new_tokens, config.do_sample, config.ignore_eos = 12, False, True
        found["before"] = [row["response"] for row in inference_vllm(engine, template, ROWS)]
        config.max_new_tokens = 400
        try:
            for _ in inference_stream_vllm(engine, template, ROWS, flush_steps=1):
                os.killpg(os.getpgrp(), signal.SIGINT)  # as a terminal does: to vLLM's process too
        except KeyboardInterrupt:
            found["interrupted"] = True
        config.max_new_tokens = 12
        found["after"] = [row["response"] for row in inference_vllm(engine, template, ROWS)]
    print(json.dumps(found))


main()
