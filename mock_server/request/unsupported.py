"""Fields that ask for something that this server or its engine does not support. They are refused with a 400, because
ignoring them would mislead the client.
"""

from __future__ import annotations

from collections.abc import Callable, Collection
from typing import Any

from pydantic import BaseModel

from mock_server.engine.base import EngineInfo, Feature
from mock_server.errors import ApiError, bad_request

_Predicate = Callable[[Any], bool]


def _given(value: Any) -> bool:
    return value is not None and value is not False


def _filled(value: Any) -> bool:
    return bool(value)


def _other_than(*neutral: Any) -> _Predicate:
    return lambda value: value is not None and value not in neutral


# Supported by some engines: the field, whether a value asks for something, the feature that it needs, and its name.
_FEATURES: dict[str, tuple[_Predicate, Feature, str]] = {
    "logprobs": (_given, "logprobs", "log probabilities"),
    "top_logprobs": (_filled, "logprobs", "log probabilities"),
    "prompt_logprobs": (_given, "prompt_logprobs", "log probabilities of the prompt"),
    "response_format": (
        lambda value: value is not None and value.type != "text",
        "structured_outputs",
        "structured output",
    ),
    "structured_outputs": (_given, "structured_outputs", "structured output"),
    "logit_bias": (_filled, "logit_bias", "biased tokens"),
    "allowed_token_ids": (_filled, "allowed_token_ids", "a restricted vocabulary"),
    "bad_words": (_filled, "bad_words", "forbidden words"),
    "priority": (_filled, "priority", "priorities"),
}

# Supported by no engine here.
_ASKS: dict[str, tuple[_Predicate, str]] = {
    "functions": (_filled, "this form of tools (tools is OpenAI's newer one)"),
    "function_call": (_other_than("none", "auto"), "this form of tool choice (tool_choice is OpenAI's newer one)"),
    "guided_json": (_filled, "this form of structured output (structured_outputs is vLLM's newer one)"),
    "guided_regex": (_filled, "this form of structured output (structured_outputs is vLLM's newer one)"),
    "guided_choice": (_filled, "this form of structured output (structured_outputs is vLLM's newer one)"),
    "guided_grammar": (_filled, "this form of structured output (structured_outputs is vLLM's newer one)"),
    "return_tokens_as_token_ids": (_given, "token ids in responses"),
    "include_stop_str_in_output": (_given, "stop strings in the output"),
    "skip_special_tokens": (lambda value: value is False, "special tokens in the output"),
    "suffix": (_filled, "insertion before a suffix"),
    "best_of": (_other_than(1), "a best choice of several"),
    "use_beam_search": (_given, "beam search"),
    "num_beams": (_other_than(1), "beam search"),
    "length_penalty": (_other_than(1), "beam search"),
    "chat_template": (_given, "templates given in requests"),
    "documents": (_filled, "documents besides messages"),
    "modalities": (_other_than([], ["text"]), "modalities other than text"),
    "audio": (_filled, "audio"),
    "images": (_filled, "images"),
    "audios": (_filled, "audio"),
    "videos": (_filled, "video"),
    "web_search_options": (_given, "web search"),
}


def refuse_unsupported(request: BaseModel, engine: EngineInfo) -> None:
    """Raises an `ApiError` (400) for the first field that asks for something unsupported."""
    _refuse_features(request, engine.features, engine.name)
    for name, value in (request.model_extra or {}).items():
        ask = _ASKS.get(name)
        if ask is not None and ask[0](value):
            raise _unsupported(name, f"this server does not support {ask[1]} yet")


def _refuse_features(request: BaseModel, features: Collection[Feature], engine: str) -> None:
    for name, (asks, feature, words) in _FEATURES.items():
        if feature not in features and name in request.model_fields_set and asks(getattr(request, name)):
            raise _unsupported(name, f"the {engine} engine does not support {words}")


def _unsupported(name: str, why: str) -> ApiError:
    return bad_request(
        f"{name} is not supported: {why}. Leave the field out.", param=name, code="unsupported_parameter"
    )
