"""Suggestions for a name that is not a field, made only if the intended field is clear."""

from __future__ import annotations

from collections.abc import Iterable

# Names that other libraries use for the same fields.
_OTHER_NAMES = {
    "temp": "temperature",
    "max_new_tokens": "max_tokens",
    "max_output_tokens": "max_tokens",
    "max_gen_tokens": "max_tokens",
    "n_predict": "max_tokens",
    "num_predict": "max_tokens",
    "min_new_tokens": "min_tokens",
    "repeat_penalty": "repetition_penalty",
    "random_seed": "seed",
    "stop_sequences": "stop",
    "stop_words": "stop",
    "stop_strings": "stop",
    "eos_token_id": "stop_token_ids",
    "num_return_sequences": "n",
    "headers": "extra_headers",
}

# Fields of OpenAI's, vLLM's and similar APIs that have no field here. They are not misspellings.
_OF_THE_API = """
add_generation_prompt add_special_tokens allowed_token_ids audio bad_words cache_salt chat_template
continue_final_message detokenize documents echo function_call functions guided_choice guided_decoding_backend
guided_grammar guided_json guided_regex include_reasoning include_stop_str_in_output input instructions
kv_transfer_params logits_processors max_tool_calls metadata min_keep mirostat mm_processor_kwargs modalities nvext
prediction prompt_cache_key prompt_cache_retention reasoning request_id return_token_ids return_tokens_as_token_ids
safety_identifier separate_reasoning service_tier spaces_between_special_tokens store stream_reasoning suffix text
tfs_z thinking thinking_token_budget top_a top_n_tokens truncate_prompt_tokens typical_p use_beam_search user
verbosity vllm_xargs watermark web_search_options
"""
_SURE_LENGTH = 6  # shorter names are only a letter or two away from too many others


# Arguments of a call, which are not part of its config.
_ARGUMENTS = """
api_key audios config history host images is_chat is_chat_request is_multimodal messages model model_type port
prompt query request_config roles system timeout tool_choice tools url videos
"""


def remedy(name: str, fields: Iterable[str]) -> str:
    """What to do about `name`, which is not one of `fields`."""
    if (meant := suggestion(name, fields)) is not None:
        return f"did you mean {meant}?"
    if name in _ARGUMENTS.split():
        return "it is an argument of the call"
    return f"a parameter without a field goes into extra_body={{{name!r}: …}}"


def suggestion(name: str, fields: Iterable[str]) -> str | None:
    """The field that `name` clearly means, or None."""
    known = list(fields)
    if name in _OTHER_NAMES:
        return _OTHER_NAMES[name] if _OTHER_NAMES[name] in known else None
    if name in _OF_THE_API.split() or (name in _ARGUMENTS.split() and name not in known):
        return None
    plain = _plain(name)
    same = [field for field in known if _plain(field) == plain]
    near = same or [field for field in known if _is_near(plain, _plain(field))]
    return near[0] if len(near) == 1 else None


def _plain(name: str) -> str:
    return name.replace("_", "").replace("-", "").lower()


def _is_near(written: str, meant: str) -> bool:
    """Whether a single typing error explains the difference, or two in a long name."""
    if min(len(written), len(meant)) < _SURE_LENGTH:
        return _is_slip_in_short_name(written, meant)
    return _distance(written, meant) <= (2 if len(meant) >= 10 else 1)


def _is_slip_in_short_name(written: str, meant: str) -> bool:
    """Whether two letters are swapped, one is doubled or left out, or an s is added: `sotp`, `seeed`, `strem`."""
    if len(meant) < 3:
        return False
    if len(written) == len(meant):
        return sorted(written) == sorted(meant) and _distance(written, meant) == 1
    if len(written) == len(meant) + 1:
        doubled = {meant[:i] + meant[i - 1 :] for i in range(1, len(meant) + 1)}
        return written == meant + "s" or written in doubled
    return len(written) == len(meant) - 1 > 3 and _distance(written, meant) == 1


def _distance(a: str, b: str) -> int:
    """The number of letters to insert, delete, replace or swap with a neighbour (optimal string alignment)."""
    rows = [list(range(len(b) + 1))]
    for i, letter in enumerate(a, 1):
        row = [i]
        for j, other in enumerate(b, 1):
            cost = min(rows[-1][j] + 1, row[-1] + 1, rows[-1][j - 1] + (letter != other))
            if i > 1 and j > 1 and (letter, a[i - 2]) == (b[j - 2], other):
                cost = min(cost, rows[-2][j - 2] + 1)
            row.append(cost)
        rows.append(row)
    return rows[-1][-1]
