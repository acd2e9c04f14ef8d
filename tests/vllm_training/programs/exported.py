"""What vLLM says with an adapter beside its base, with the two merged, and with the base in four bits (or why not).

usage: exported.py BASE ADAPTER MERGED QUANTIZED; the last line printed is JSON.
"""

from __future__ import annotations

import json
import sys
from typing import Any

from mock_server.engine.errors import EngineStartError
from sdk import LoRARequest, get_template, get_vllm_engine, inference_vllm

ROWS = [{"query": query} for query in ("who are you?", "Name a fruit.", "你好", "What is the capital of France?")]
SETTINGS: dict[str, Any] = {"enforce_eager": True, "max_model_len": 512, "max_num_seqs": 8}


def said(model: str, adapter: str | None = None, *, dtype: str = "fp32") -> list[str]:
    lora = {"enable_lora": True, "max_loras": 2} if adapter else {}
    cache = {"kv_cache_memory_bytes": 64 << 20}
    with get_vllm_engine(None, dtype, model_id_or_path=model, engine_kwargs=cache, **SETTINGS, **lora) as engine:
        template = get_template("tokenizer", engine.hf_tokenizer)
        config = engine.generation_config
        config.max_new_tokens, config.do_sample = 16, False
        request = LoRARequest("default-lora", 1, adapter) if adapter else None
        return [row["response"] for row in inference_vllm(engine, template, ROWS, lora_request=request)]


def main() -> None:
    base, adapter, merged, quantized = sys.argv[1:]
    found: dict[str, Any] = {"served": said(base, adapter), "merged": said(merged)}
    try:
        found["quantized"] = said(quantized, dtype="bf16")  # vLLM has no float32 for it
    except EngineStartError as error:
        found["refused"] = str(error)
    print(json.dumps(found))


main()
