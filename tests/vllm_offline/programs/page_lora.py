"""The page's program for an adapter: with it, and without it from the same engine. No guard around it, as there."""

from __future__ import annotations

import sys

import torch

from sdk import (
    LoRARequest,
    ModelType,
    get_default_template_type,
    get_template,
    get_vllm_engine,
    inference_stream_vllm,
    inference_vllm,
)

base, lora_checkpoint = sys.argv[1:]
lora_request = LoRARequest("default-lora", 1, lora_checkpoint)

model_type = ModelType.smollm2_135m_instruct
llm_engine = get_vllm_engine(
    model_type,
    torch.float32,
    model_id_or_path=base,
    enable_lora=True,
    max_loras=1,
    max_lora_rank=16,
    max_model_len=2048,
    enforce_eager=True,
)
template_type = get_default_template_type(model_type)
template = get_template(template_type, llm_engine.hf_tokenizer)
llm_engine.generation_config.max_new_tokens = 40
llm_engine.generation_config.temperature = 0

# use lora
request_list = [{"query": "who are you?"}]
query = request_list[0]["query"]
resp_list = inference_vllm(llm_engine, template, request_list, lora_request=lora_request)
response = resp_list[0]["response"]
print(f"query: {query}")
print(f"response: {response}")

# no lora
gen = inference_stream_vllm(llm_engine, template, request_list)
print(f"query: {query}\nresponse: ", end="")
print_idx = 0
for resp_list in gen:
    response = resp_list[0]["response"]
    print(response[print_idx:], end="", flush=True)
    print_idx = len(response)
print()
