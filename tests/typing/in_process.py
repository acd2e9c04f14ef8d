"""Never run: mypy reads it, and each `assert_type` is a type that an editor must show for inference in process."""

from __future__ import annotations

from typing import assert_type

from mock_server.offline import FailedResponse, InferResponse, Template
from sdk import (
    GenerationConfig,
    LocalEngine,
    LoRARequest,
    ModelType,
    get_default_template_type,
    get_template,
    get_vllm_engine,
    inference_stream_vllm,
    inference_vllm,
)


def the_pages_program(lora_checkpoint: str, some: bool) -> None:
    assert_type(ModelType.qwen_7b_chat, str)
    llm_engine = get_vllm_engine(ModelType.qwen_7b_chat, "float16", enable_lora=True, max_loras=1, max_lora_rank=16)
    assert_type(llm_engine, LocalEngine)
    template_type = get_default_template_type(ModelType.qwen_7b_chat)
    template = get_template(template_type, llm_engine.hf_tokenizer)
    assert_type(template, Template)
    assert_type(llm_engine.generation_config, GenerationConfig)
    llm_engine.generation_config.max_new_tokens = 256
    llm_engine.generation_config.max_new_tokns = 256  # type: ignore[attr-defined]
    generation_info: dict[str, float] = {}

    request_list = [{"query": "你好!"}, {"query": "浙江的省会在哪?"}]
    resp_list = inference_vllm(llm_engine, template, request_list, generation_info=generation_info)
    assert_type(resp_list, list[InferResponse])
    assert_type(resp_list[0]["response"], str)
    history = resp_list[1]["history"]
    assert_type(history, list[list[str]])

    for shown in inference_stream_vllm(llm_engine, template, [{"query": "这有什么好吃的", "history": history}]):
        assert_type(shown, list[InferResponse | None])

    lora_request = LoRARequest("default-lora", 1, lora_checkpoint)
    inference_vllm(llm_engine, template, request_list, lora_request=lora_request, use_tqdm=True)
    kept = inference_vllm(llm_engine, template, request_list, strict=False)
    assert_type(kept, list[InferResponse | FailedResponse])
    assert_type(inference_vllm(llm_engine, template, request_list, strict=some), list[InferResponse | FailedResponse])
    for either in inference_stream_vllm(llm_engine, template, request_list, strict=False):
        assert_type(either, list[InferResponse | FailedResponse | None])
    with llm_engine as same:
        assert_type(same, LocalEngine)
