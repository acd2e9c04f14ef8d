"""Request bodies in the forms that load testers send, and what these read from the answers."""

from __future__ import annotations

from typing import Any

import httpx
import pytest

from tests.contract.server.wire import CHAT, COMPLETIONS, events

TEXT = "word " * 20
PARTS = [{"role": "user", "content": [{"type": "text", "text": TEXT}]}]
USAGE = {"include_usage": True}
BOTH_USAGES = {"include_usage": True, "continuous_usage_stats": True}

BODIES: dict[str, tuple[str, dict[str, Any]]] = {
    "vllm bench serve": (
        COMPLETIONS,
        {"model": "sim-chat", "prompt": TEXT, "repetition_penalty": 1.0, "max_tokens": 8, "logprobs": None,
         "stream": True, "stream_options": USAGE, "ignore_eos": True, "temperature": 0.0},
    ),
    "vllm bench serve, chat": (
        CHAT,
        {"model": "sim-chat", "messages": PARTS, "max_completion_tokens": 8, "stream": True, "stream_options": USAGE,
         "ignore_eos": True},
    ),
    "guidellm": (
        COMPLETIONS,
        {"model": "sim-chat", "prompt": TEXT, "max_tokens": 8, "stop": None, "ignore_eos": True, "stream": True,
         "stream_options": BOTH_USAGES},
    ),
    "guidellm, chat": (
        CHAT,
        {"model": "sim-chat", "messages": PARTS, "max_completion_tokens": 8, "stop": None, "ignore_eos": True,
         "stream": True, "stream_options": BOTH_USAGES},
    ),
    "aiperf": (
        CHAT,
        {"model": "sim-chat", "messages": [{"role": "user", "name": "", "content": TEXT}], "stream": True,
         "max_completion_tokens": 8, "min_tokens": 8, "ignore_eos": True, "stream_options": USAGE},
    ),
    "genai-perf": (
        CHAT,
        {"model": "sim-chat", "messages": [{"role": "user", "content": TEXT}], "stream": True, "max_tokens": 8,
         "min_tokens": 8, "ignore_eos": True, "stream_options": USAGE},
    ),
    "llmperf": (
        CHAT,
        {"model": "sim-chat", "messages": [{"role": "system", "content": ""}, {"role": "user", "content": TEXT}],
         "stream": True, "max_tokens": 8, "ignore_eos": True, "stream_options": USAGE},
    ),
    "inference-perf": (
        COMPLETIONS,
        {"model": "sim-chat", "prompt": TEXT, "max_tokens": 8, "ignore_eos": True, "stream": True,
         "stream_options": USAGE},
    ),
}  # fmt: skip


@pytest.mark.parametrize(("path", "body"), BODIES.values(), ids=BODIES)
def test_a_load_testers_body_is_served_to_the_token(http: httpx.Client, path: str, body: dict[str, Any]) -> None:
    *chunks, last = events(http, path, body)
    assert last["choices"] == []
    assert last["usage"]["completion_tokens"] == 8
    assert last["usage"]["prompt_tokens"] > 20
    assert chunks[-1]["choices"][0]["finish_reason"] == "length"
    for chunk in chunks:
        (choice,) = chunk["choices"]
        assert isinstance(choice["text"] if path == COMPLETIONS else choice["delta"].get("content"), str)
