"""Suggestions for unknown fields, made only if the intended one is clear."""

from __future__ import annotations

import pytest

from sdk import ConfigError, XRequestConfig
from sdk.suggestions import suggestion

FIELDS = list(XRequestConfig.model_fields)


@pytest.mark.parametrize(
    ("written", "meant"),
    [
        ("temprature", "temperature"),
        ("temperatrue", "temperature"),
        ("tempreture", "temperature"),
        ("temp", "temperature"),
        ("strem", "stream"),
        ("steam", "stream"),
        ("streaming", None),
        ("topp", "top_p"),
        ("topK", "top_k"),
        ("top-p", "top_p"),
        ("maxTokens", "max_tokens"),
        ("max_token", "max_tokens"),
        ("max_tokns", "max_tokens"),
        ("maxCompletionTokens", "max_completion_tokens"),
        ("max_completion_token", "max_completion_tokens"),
        ("max_new_tokens", "max_tokens"),
        ("logprob", "logprobs"),
        ("top_logprob", "top_logprobs"),
        ("stops", "stop"),
        ("sotp", "stop"),
        ("stop_sequences", "stop"),
        ("seeed", "seed"),
        ("respose_format", "response_format"),
        ("repitition_penalty", "repetition_penalty"),
        ("parallel_tools_calls", "parallel_tool_calls"),
    ],
)
def test_a_clear_misspelling_gets_a_suggestion(written: str, meant: str | None) -> None:
    assert suggestion(written, FIELDS) == meant


@pytest.mark.parametrize(
    "name",
    [
        "store",
        "metadata",
        "user",
        "service_tier",
        "modalities",
        "audio",
        "prediction",
        "web_search_options",
        "safety_identifier",
        "verbosity",
        "echo",
        "suffix",
        "prompt_cache_key",
        "text",
        "input",
        "guided_json",
        "chat_template",
        "bad_words",
        "truncate_prompt_tokens",
        "return_token_ids",
        "top_a",
        "top_n",
        "top_q",
        "min_k",
        "step",
        "shop",
        "speed",
        "send",
        "need",
        "tops",
        "spot",
        "post",
        "best",
        "words",
        "length",
        "tokens",
        "token",
        "format",
        "prefix",
        "penalty",
        "tools",
        "tool_choice",
        "messages",
        "model",
        "system",
        "images",
        "history",
        "timeout",
        "url",
        "strict",
        "style",
        "storage",
        "structure",
        "min_length",
        "max_length",
        "max_time",
        "min_p_value",
        "cache_salt",
        "vllm_xargs",
        "mirostat",
        "typical_p",
        "frobnicate",
        "x",
        "n_keep",
        "tensor",
    ],
)
def test_no_unrelated_field_is_suggested(name: str) -> None:
    assert suggestion(name, FIELDS) is None
    with pytest.raises(ConfigError, match=name) as caught:
        XRequestConfig(**{name: 1})  # type: ignore[arg-type]
    assert "did you mean" not in str(caught.value)


@pytest.mark.parametrize(
    ("name", "says"), [("store", r"extra_body=\{'store': …\}"), ("tools", "argument of the call"), ("x", "extra_body")]
)
def test_the_place_of_other_names_is_given(name: str, says: str) -> None:
    with pytest.raises(ConfigError, match=says):
        XRequestConfig(**{name: 1})  # type: ignore[arg-type]
