"""What an engine in process says, beside what the server says over the same engine; and how it behaves besides.

usage: beside_the_server.py MODEL; the last line printed is JSON.
"""

from __future__ import annotations

import asyncio
import json
import sys
import time
from typing import Any

import httpx

from mock_server.app import create_app
from mock_server.settings import ServerSettings
from sdk import (
    LocalEngine,
    get_default_template_type,
    get_template,
    get_vllm_engine,
    inference_stream_vllm,
    inference_vllm,
)

QUESTIONS = ("What is the capital of France?", "Name three primary colors.", "What is 2+2?", "Who wrote Hamlet?")
SYSTEM = "You answer in one short sentence."
MAX_TOKENS = 24


async def ask_server(engine: LocalEngine, row: dict[str, Any]) -> str:
    system = [{"role": "system", "content": row["system"]}] if "system" in row else []
    past = [
        {"role": role, "content": text}
        for pair in row.get("history", ())
        for role, text in zip(("user", "assistant"), pair, strict=True)
    ]
    messages = [*system, *past, {"role": "user", "content": row["query"]}]
    app = create_app(engine.core, ServerSettings())
    async with httpx.AsyncClient(transport=httpx.ASGITransport(app), base_url="http://server", timeout=300) as http:
        body = {"messages": messages, "temperature": 0, "max_tokens": MAX_TOKENS}
        response = await http.post("/v1/chat/completions", json=body)
        return str(response.json()["choices"][0]["message"]["content"])


def unfinished(engine: LocalEngine) -> int:
    """In vLLM's own books."""
    return int(engine.core._life.running._engine.output_processor.get_num_unfinished_requests())


def main() -> None:
    engine = get_vllm_engine(
        "smollm2-135m-instruct",
        "fp32",
        model_id_or_path=sys.argv[1],
        max_model_len=2048,
        enforce_eager=True,
        engine_kwargs={"kv_cache_memory_bytes": 256 << 20},
    )
    template = get_template(get_default_template_type(engine.model_type), engine.hf_tokenizer)
    engine.generation_config.max_new_tokens, engine.generation_config.do_sample = MAX_TOKENS, False
    rows: list[dict[str, Any]] = [{"query": question} for question in QUESTIONS]
    rows.append({"query": "And of Italy?", "history": [[QUESTIONS[0], "Paris."]], "system": SYSTEM})
    found: dict[str, Any] = {"attributes": [engine.dtype, engine.max_model_len, engine.model_type, template.source]}
    info: dict[str, Any] = {}
    began = time.perf_counter()
    together = inference_vllm(engine, template, rows, generation_info=info)
    found["clock_s"] = time.perf_counter() - began
    found["info"] = dict(info)
    found["together"] = [row["response"] for row in together]
    found["server"] = [engine.run(ask_server(engine, row)) for row in rows]
    found["alone"] = [inference_vllm(engine, template, [row])[0]["response"] for row in rows]
    found["in_a_loop"] = asyncio.run(called_inside(engine, template, rows))
    found["streamed"] = [row["response"] for row in list(inference_stream_vllm(engine, template, rows))[-1]]
    turns = [[{"role": "user", "content": question}] for question in QUESTIONS]
    found["prompt_tokens"] = sum(
        len(engine.hf_tokenizer.apply_chat_template(turn, add_generation_prompt=True, return_dict=False))
        for turn in turns
    )
    first = inference_vllm(engine, template, rows[:4], generation_info=info)
    found["first_four"] = dict(info)
    # each ended by itself, by a token that is counted and not shown
    found["generated_tokens"] = sum(
        min(len(engine.hf_tokenizer.encode(row["response"])) + 1, MAX_TOKENS) for row in first
    )
    engine.generation_config.ignore_eos, engine.generation_config.max_new_tokens = True, 1000
    for shown in inference_stream_vllm(engine, template, rows[:3], flush_steps=1):
        found["running_before"] = unfinished(engine)
        found["began"] = sum(row is not None for row in shown)
        break
    found["running_after"] = unfinished(engine)
    engine.generation_config.max_new_tokens, engine.generation_config.logprobs = 3, 2
    logprobs = inference_vllm(engine, template, rows[:1])[0]["logprobs"]["content"]
    found["logprobs"] = [[entry["logprob"], entry["top_logprobs"][0]["logprob"]] for entry in logprobs]
    engine.shutdown()
    print(json.dumps(found))


async def called_inside(engine: LocalEngine, template: Any, rows: list[dict[str, Any]]) -> list[str]:
    return [row["response"] for row in inference_vllm(engine, template, rows)]


main()
