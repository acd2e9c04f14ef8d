"""Starts an engine of each of the page's types on a folder of its architecture, and asks it something.

usage: each_type.py FOLDER; the last line printed is JSON: for each folder its template, and its answer or refusal.
"""

from __future__ import annotations

import json
import sys
from pathlib import Path
from typing import Any

from mock_server.engine.errors import EngineStartError
from sdk import get_default_template_type, get_template, get_vllm_engine, inference_vllm

TYPES = (
    ("llama2-7b-chat", "llama", "fp32"),
    ("yi-6b-chat", "yi", "fp32"),
    ("qwen-7b-chat", "qwen", "fp32"),
    ("qwen2-7b-instruct", "qwen2-unpacked", "bf16"),
    ("qwen2-7b-instruct-int4", "qwen2-gptq", "bf16"),
    ("qwen2_5-7b-instruct-awq", "qwen2-awq", "bf16"),
)


def answer(model_type: str, folder: Path, dtype: str) -> dict[str, Any]:
    with get_vllm_engine(
        model_type,
        dtype,
        model_id_or_path=folder,
        enforce_eager=True,
        max_model_len=512,
        engine_kwargs={"kv_cache_memory_bytes": 64 << 20, "trust_remote_code": folder.name == "qwen"},
    ) as engine:
        template = get_template(get_default_template_type(model_type), engine.hf_tokenizer)
        config = engine.generation_config
        config.max_new_tokens, config.do_sample, config.ignore_eos = 12, False, True
        row = inference_vllm(engine, template, [{"query": "Hello", "system": "Be brief."}])[0]
        return {"template": template.source, "answer": row["response"]}


def main() -> None:
    found: dict[str, Any] = {}
    for model_type, name, dtype in TYPES:
        key = f"{name} in {dtype}"
        try:
            found[key] = answer(model_type, Path(sys.argv[1]) / name, dtype)
        except EngineStartError as error:
            found[key] = {"refused": str(error)}
    print(json.dumps(found))


main()
