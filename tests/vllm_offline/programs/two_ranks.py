"""One rank, then two, in one process: the same tokens. Then many rows, and what cannot be started.

usage: two_ranks.py MODEL; the last line printed is JSON.
"""

from __future__ import annotations

import json
import resource
import sys
from typing import Any

from mock_server.engine.errors import EngineStartError
from sdk import get_template, get_vllm_engine, inference_vllm

ROWS = [{"query": f"Tell me about the number {number}."} for number in range(4)]
SETTINGS: dict[str, Any] = {"enforce_eager": True, "max_model_len": 512, "max_num_seqs": 64}


def main() -> None:
    found: dict[str, Any] = {}
    for ranks in (1, 2):
        cache = {"kv_cache_memory_bytes": 64 << 20}
        with get_vllm_engine(
            None, "fp32", model_id_or_path=sys.argv[1], tensor_parallel_size=ranks, engine_kwargs=cache, **SETTINGS
        ) as engine:
            template = get_template("tokenizer", engine.hf_tokenizer)
            config = engine.generation_config
            config.max_new_tokens, config.do_sample, config.ignore_eos = 12, False, True
            found[f"ranks_{ranks}"] = [row["response"] for row in inference_vllm(engine, template, ROWS)]
            if ranks == 1:
                config.max_new_tokens = 4
                before_kib = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
                many = inference_vllm(
                    engine, template, [{"query": f"row {k} " * 20} for k in range(2000)], use_tqdm=True
                )
                found["num_many"] = sum(bool(row["history"]) for row in many)
                found["grown_mib"] = (resource.getrusage(resource.RUSAGE_SELF).ru_maxrss - before_kib) / 1024
    try:
        get_vllm_engine(None, model_id_or_path=sys.argv[1], max_model_len=1_000_000)
    except EngineStartError as error:
        found["refused"] = str(error)
    print(json.dumps(found))


main()
