"""Requests that hypothesis makes up for each route: valid ones in which some fields are hostile."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

from hypothesis import strategies as st

from tests.support.hostile_json import encoded, found_at, places, replaced, twice
from tests.support.hostile_schemas import EXPRESSIONS, SCHEMAS
from tests.support.hostile_values import DEEP_TEXT, alike, mostly, numbers, texts, values
from tests.unit.mock_server.engine.author.drawing.schema_strategies import PATTERNS, documents

JSON_TYPE = (b"content-type", b"application/json")
CHAT, COMPLETIONS, TOKENIZE, DETOKENIZE = "/v1/chat/completions", "/v1/completions", "/tokenize", "/detokenize"
LOAD, UNLOAD = "/v1/load_lora_adapter", "/v1/unload_lora_adapter"
READ = (
    "/v1/models",
    "/v1/models/sim-chat",
    "/health",
    "/ping",
    "/ready",
    "/load",
    "/metrics",
    "/version",
    "/openapi.json",
)


@dataclass(frozen=True)
class Call:
    """A request, as it goes out but for the headers that every request has."""

    method: str
    target: str
    body: bytes = b""
    headers: tuple[tuple[bytes, bytes], ...] = (JSON_TYPE,)


_bad_schema = st.builds(lambda key, value: {key: value}, st.sampled_from([
    "type", "minimum", "maximum", "multipleOf", "minLength", "maxLength", "minItems", "maxItems", "enum", "const",
    "properties", "patternProperties", "required", "items", "prefixItems", "anyOf", "oneOf", "allOf", "not", "if",
    "$ref",
    "$defs", "pattern", "format", "additionalProperties", "propertyNames", "contains", "minContains",
    "dependentSchemas",
    "$dynamicRef", "$recursiveRef", "$id", "$anchor", "$schema", "unevaluatedItems", "uniqueItems", "nullable",
]), values)  # fmt: skip
_schemas = st.one_of(
    documents().map(lambda schema: schema if isinstance(schema, dict) else {"allOf": [schema]}),
    _bad_schema,
    st.builds(lambda schema: {"type": "object", "properties": {"a": schema}, "required": ["a"]}, _bad_schema),
    st.sampled_from([schema for schema in SCHEMAS.values() if len(encoded(schema)) < 50_000]),
    values,
)
_expressions = st.sampled_from(PATTERNS) | st.sampled_from(sorted(EXPRESSIONS.values(), key=len)[:20]) | texts
_format = st.one_of(
    st.builds(lambda schema: {"type": "json_schema", "json_schema": {"name": "x", "schema": schema}}, _schemas),
    st.builds(lambda schema: {"type": "json_schema", "schema": schema}, _schemas),
    st.builds(
        lambda kind: {"type": kind}, st.sampled_from(["text", "json_object", "json_schema", "JSON", "", "grammar"])
    ),
    values,
)
_structured = st.one_of(
    st.builds(lambda schema: {"json": schema}, _schemas),
    st.builds(lambda pattern: {"regex": pattern}, _expressions),
    st.builds(
        lambda key, value: {key: value},
        st.sampled_from(
            ["choice", "grammar", "structural_tag", "json_object", "whitespace_pattern", "json", "regex", "other"]
        ),
        values,
    ),
    st.builds(lambda text: {"choice": [text, "b"]}, texts),
    values,
)
_function = st.builds(
    lambda name, parameters, text: {
        "type": "function",
        "function": {"name": name, "parameters": parameters, "description": text},
    },
    st.sampled_from(["f", "a-b.c", "_"]) | texts,
    _schemas,
    texts,
)
_tools = st.lists(_function, min_size=1, max_size=3) | values
_tool_choice = st.one_of(
    st.sampled_from(["none", "auto", "required", "any", "Required", ""]),
    st.builds(lambda name: {"type": "function", "function": {"name": name}}, st.just("f") | texts),
    values,
)
_call = st.builds(
    lambda name, arguments: {"id": "c", "type": "function", "function": {"name": name, "arguments": arguments}},
    st.just("f") | texts,
    mostly(st.sampled_from(["{}", "[", *DEEP_TEXT]), values),
)
_urls = (
    st.sampled_from(["http://x/", "data:image/png;base64,AAAA", "data:image/png;base64," + "A" * 50_000, "ftp://x"])
    | texts
)
_part = st.one_of(
    st.builds(lambda text: {"type": "text", "text": text}, texts),
    st.builds(lambda text: {"type": "refusal", "refusal": text}, texts),
    st.builds(lambda url: {"type": "image_url", "image_url": {"url": url}}, _urls),
    st.builds(
        lambda kind, value: {"type": kind, kind: value},
        st.sampled_from(
            [
                "text",
                "refusal",
                "image_url",
                "input_audio",
                "audio_url",
                "video_url",
                "file",
                "image_embeds",
                "thinking",
            ]
        ),
        values,
    ),
    values,
)
_message = st.one_of(
    st.builds(
        lambda role, content: {"role": role, "content": content},
        mostly(st.sampled_from(["system", "user", "assistant", "tool", "developer", "own", "USER"]), texts),
        mostly(texts | st.lists(_part, max_size=4), values),
    ),
    st.builds(lambda calls: {"role": "assistant", "content": None, "tool_calls": calls}, st.lists(_call, max_size=2)),
    st.builds(
        lambda key, value: {"role": "tool", "content": "a", key: value},
        st.sampled_from(["tool_call_id", "name", "x"]),
        mostly(texts, values),
    ),
)
_messages = mostly(st.lists(_message, min_size=1, max_size=4), values)
_kwargs = (
    st.dictionaries(
        st.sampled_from(
            [
                "enable_thinking",
                "messages",
                "tools",
                "self",
                "tokenize",
                "chat_template",
                "add_generation_prompt",
                "__class__",
                "\x00",
                "reasoning_effort",
                "conversation",
                "loop",
                "raise_exception",
            ]
        )
        | st.text(max_size=5),
        values,
        max_size=3,
    )
    | values
)
_prompt = st.one_of(
    texts,
    st.lists(texts, max_size=3),
    st.lists(st.integers(-2, 70_000), max_size=5),
    st.lists(st.lists(st.integers(-2, 70_000), max_size=3), max_size=3),
    st.lists(numbers, max_size=3),
    values,
)
_stop = st.one_of(texts, st.lists(texts, max_size=17), values)

_OF_GENERATIONS: dict[str, st.SearchStrategy[Any]] = {
    "response_format": _format,
    "structured_outputs": _structured,
    "stop": _stop,
    "logit_bias": st.dictionaries(
        st.sampled_from(["300", "-1", "1.5", "x", "٣", "9" * 5_000, "1_0", " 1"]), numbers, max_size=3
    )
    | values,
    "stream": st.booleans() | values,
    "stream_options": st.fixed_dictionaries({"include_usage": st.booleans() | values}) | values,
    "n": st.sampled_from([2, 128, 129]) | values,
    "logprobs": st.sampled_from([True, False, 0, 5, 20, 21]) | values,
    "top_logprobs": st.sampled_from([0, 5, 20, 21]) | values,
    "prompt_logprobs": st.sampled_from([0, 5, 20, 21, -1]) | values,
    **dict.fromkeys(
        (
            "model",
            "max_tokens",
            "min_tokens",
            "seed",
            "stop_token_ids",
            "ignore_eos",
            "temperature",
            "top_p",
            "top_k",
            "min_p",
            "presence_penalty",
            "frequency_penalty",
            "repetition_penalty",
            "allowed_token_ids",
            "bad_words",
            "priority",
            "user",
            "return_token_ids",
            "truncate_prompt_tokens",
            "best_of",
            "suffix",
            "guided_json",
            "guided_regex",
            "functions",
            "include_stop_str_in_output",
            "use_beam_search",
            "chat_template",
            "documents",
            "x-unheard-of",
            "\ud800",
            "",
            "metadata",
        ),
        values,
    ),
}
_OF_CHATS = {
    "messages": _messages,
    "tools": _tools,
    "tool_choice": _tool_choice,
    "chat_template_kwargs": _kwargs,
    **dict.fromkeys(
        (
            "add_generation_prompt",
            "continue_final_message",
            "reasoning_effort",
            "include_reasoning",
            "parallel_tool_calls",
            "max_completion_tokens",
        ),
        st.booleans() | values,
    ),
}
_FIELDS: dict[str, dict[str, st.SearchStrategy[Any]]] = {
    CHAT: {**_OF_GENERATIONS, **_OF_CHATS},
    COMPLETIONS: {**_OF_GENERATIONS, "prompt": _prompt, "echo": st.booleans() | values},
    TOKENIZE: {**_OF_CHATS, "prompt": _prompt, "model": values, "return_token_strs": st.booleans() | values},
    DETOKENIZE: {"tokens": st.lists(st.integers(-2, 70_000), max_size=9) | values, "model": values},
    LOAD: {"lora_name": texts | values, "lora_path": texts | values, "load_inplace": values, "x": values},
    UNLOAD: {"lora_name": texts | values, "lora_int_id": values},
}
_A_TOOL = {
    "type": "function",
    "function": {"name": "f", "parameters": {"type": "object", "properties": {"a": {"type": "string"}}}},
}
_A_CALL = {"id": "c", "type": "function", "function": {"name": "f", "arguments": '{"a": "b"}'}}
_VALID: dict[str, list[dict[str, Any]]] = {
    CHAT: [
        {"messages": [{"role": "user", "content": "hi"}], "max_tokens": 5},
        {"messages": [{"role": "user", "content": "hi"}], "max_tokens": 5, "stream": True,
        "stream_options": {"include_usage": True}},
        {"messages": [{"role": "user", "content": [{"type": "text", "text": "f"}]}], "max_tokens": 30,
        "tools": [_A_TOOL],
         "tool_choice": "required", "stream": True},
        {"messages": [{"role": "user", "content": "f"}, {"role": "assistant", "content": None, "tool_calls": [_A_CALL]},
                      {"role": "tool", "content": "b", "tool_call_id": "c"}], "tools": [_A_TOOL], "max_tokens": 9},
        {"messages": [{"role": "user", "content": "hi"}], "max_tokens": 9, "stream": True, "n": 2, "logprobs": True,
         "top_logprobs": 2, "chat_template_kwargs": {"enable_thinking": True}},
    ],
    COMPLETIONS: [
        {"prompt": "hi", "max_tokens": 5},
        {"prompt": [[300, 301], [302]], "max_tokens": 5, "n": 2, "stream": True, "logprobs": 2},
        {"prompt": "hi", "max_tokens": 0, "echo": True, "logprobs": 1},
        {"prompt": ["a", "b"], "max_tokens": 5, "structured_outputs": {"json": {"type": "object"}}, "stop": ["x"]},
    ],
    TOKENIZE: [{"prompt": "hi", "return_token_strs": True}, {"messages": [{"role": "user", "content": "hi"}],
    "tools": [_A_TOOL]}],
    DETOKENIZE: [{"tokens": [300, 301]}],
    LOAD: [{"lora_name": "fuzzed", "lora_path": "/nowhere"}],
    UNLOAD: [{"lora_name": "fuzzed"}],
}  # fmt: skip


_DEEP_FIELDS = {
    CHAT: ("messages", "tools", "response_format", "structured_outputs", "chat_template_kwargs"),
    COMPLETIONS: ("prompt", "response_format", "structured_outputs", "stop", "logit_bias"),
    TOKENIZE: ("messages", "tools", "prompt"),
}
"""Drawn more often: most of the code is behind these."""


@st.composite
def bodies(draw: st.DrawFn, path: str) -> Any:
    """A valid body of the route in which one to three things are hostile."""
    body: Any = draw(st.sampled_from(_VALID[path]))
    fields = _FIELDS[path]
    all_fields = sorted(fields)
    for _ in range(draw(st.sampled_from([1, 1, 1, 2, 3]))):
        place = draw(st.sampled_from(list(places(body))))
        match draw(st.sampled_from(["field", "field", "deep", "deep", "deep", "alike", "alike", "other", "twice"])):
            case "field" | "deep" as how:
                name = draw(st.sampled_from(_DEEP_FIELDS.get(path, all_fields) if how == "deep" else all_fields))
                body = replaced(body, (name,), draw(fields[name]))
            case "alike":
                body = replaced(body, place, draw(alike(found_at(body, place))))
            case "other":
                body = replaced(body, place, draw(values))
            case _:
                return twice(body, place, draw(values))
    return body


GENERATING = (CHAT, CHAT, CHAT, COMPLETIONS, COMPLETIONS)


@st.composite
def calls(draw: st.DrawFn) -> Call:
    """A request to one of the routes that read a body."""
    path = draw(st.sampled_from([*GENERATING, TOKENIZE, DETOKENIZE, LOAD, UNLOAD]))
    return Call("POST", path, encoded(draw(bodies(path))))


def valid_bodies(path: str) -> list[bytes]:
    return [encoded(body) for body in _VALID[path]]
