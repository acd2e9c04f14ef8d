"""The page's first program: a batch, then a stream that goes on with its history. No guard around it, as there."""

from __future__ import annotations

import sys

from sdk import (
    ModelType,
    get_default_template_type,
    get_template,
    get_vllm_engine,
    inference_stream_vllm,
    inference_vllm,
)

model_type = ModelType.smollm2_135m_instruct
llm_engine = get_vllm_engine(
    model_type, "float32", model_id_or_path=sys.argv[1], max_model_len=2048, enforce_eager=True
)
template_type = get_default_template_type(model_type)
template = get_template(template_type, llm_engine.hf_tokenizer)
llm_engine.generation_config.max_new_tokens = 64
llm_engine.generation_config.temperature = 0
generation_info: dict = {}

request_list = [{"query": "who are you?"}, {"query": "What is the capital of France?"}]
resp_list = inference_vllm(llm_engine, template, request_list, generation_info=generation_info)
for request, resp in zip(request_list, resp_list, strict=True):
    print(f"query: {request['query']}")
    print(f"response: {resp['response']}")
print(f"generation_info: {generation_info}")

history1 = resp_list[1]["history"]
query = "And of Italy?"
request_list = [{"query": query, "history": history1}]
gen = inference_stream_vllm(llm_engine, template, request_list, generation_info=generation_info)
print_idx = 0
print(f"query: {query}\nresponse: ", end="")
for resp_list in gen:
    resp = resp_list[0]
    response = resp["response"]
    delta = response[print_idx:]
    print(delta, end="", flush=True)
    print_idx = len(response)
print()
history = resp_list[0]["history"]
print(f"history: {history}")
print(f"generation_info: {generation_info}")
