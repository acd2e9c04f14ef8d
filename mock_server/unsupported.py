"""Request fields that ask for what this server does not do yet. Asking is a 400: silence would be a lie."""

from collections.abc import Callable
from typing import Any

from pydantic import BaseModel

from .errors import bad_request

_Predicate = Callable[[Any], bool]


def _given(value: Any) -> bool:
    return value is not None and value is not False


def _filled(value: Any) -> bool:
    return bool(value)


def _other_than(*neutral: Any) -> _Predicate:
    return lambda value: value is not None and value not in neutral


_ASKS: dict[str, tuple[_Predicate, str]] = {
    "logprobs": (_given, "log probabilities"),
    "top_logprobs": (_filled, "log probabilities"),
    "prompt_logprobs": (_given, "log probabilities of the prompt"),
    "tools": (_filled, "tool calls"),
    "tool_choice": (_other_than("none", "auto"), "tool calls"),
    "functions": (_filled, "function calls"),
    "function_call": (_other_than("none", "auto"), "function calls"),
    "response_format": (lambda value: value is not None and value != {"type": "text"}, "structured output"),
    "structured_outputs": (_filled, "structured output"),
    "guided_json": (_filled, "structured output"),
    "guided_regex": (_filled, "structured output"),
    "guided_choice": (_filled, "structured output"),
    "guided_grammar": (_filled, "structured output"),
    "logit_bias": (_filled, "biased tokens"),
    "allowed_token_ids": (_filled, "a restricted vocabulary"),
    "bad_words": (_filled, "forbidden words"),
    "return_token_ids": (_given, "token ids in responses"),
    "return_tokens_as_token_ids": (_given, "token ids in responses"),
    "include_stop_str_in_output": (_given, "stop strings in the output"),
    "skip_special_tokens": (lambda value: value is False, "special tokens in the output"),
    "truncate_prompt_tokens": (_given, "truncated prompts"),
    "suffix": (_filled, "insertion before a suffix"),
    "best_of": (_other_than(1), "a best choice of several"),
    "use_beam_search": (_given, "beam search"),
    "num_beams": (_other_than(1), "beam search"),
    "length_penalty": (_other_than(1), "beam search"),
    "priority": (_filled, "priorities"),
    "chat_template": (_given, "templates given in requests"),
    "documents": (_filled, "documents beside messages"),
    "modalities": (_other_than([], ["text"]), "modalities other than text"),
    "audio": (_filled, "audio"),
    "images": (_filled, "images"),
    "audios": (_filled, "audio"),
    "videos": (_filled, "video"),
    "web_search_options": (_given, "web search"),
}


def refuse_unsupported(request: BaseModel) -> None:
    """Raises an `ApiError` (400) for the first field that asks for something not carried."""
    extra = request.model_extra
    if not extra:
        return
    for name, value in extra.items():
        ask = _ASKS.get(name)
        if ask is not None and ask[0](value):
            raise bad_request(
                f"{name} is not supported: this server does not do {ask[1]} yet. Leave the field out.",
                param=name,
                code="unsupported_parameter",
            )
