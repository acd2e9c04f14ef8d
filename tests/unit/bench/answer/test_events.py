"""Which events carry tokens, from literal payloads as servers send them."""

from __future__ import annotations

import json
from array import array
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from bench.answer.events import ChunkError, Reading
from bench.answer.whole_answer import read_whole
from bench.records.moments import KIND_SHIFT, UNKNOWN_TOKENS, Kind


def chat(finish: str | None = None, usage: int | None = None, **delta: Any) -> bytes:
    chunk: dict[str, Any] = {"id": "c", "object": "chat.completion.chunk", "created": 1, "model": "m"}
    chunk["choices"] = [{"index": 0, "delta": delta, "logprobs": None, "finish_reason": finish}]
    if usage is not None:
        chunk["usage"] = {"prompt_tokens": 9, "total_tokens": 9 + usage, "completion_tokens": usage}
    return json.dumps(chunk).encode()


def text(value: str, finish: str | None = None) -> bytes:
    return json.dumps({"choices": [{"index": 0, "text": value, "finish_reason": finish}]}).encode()


def usage_only(tokens: int, cached: int | None = None) -> bytes:
    usage: dict[str, Any] = {"prompt_tokens": 9, "completion_tokens": tokens}
    if cached is not None:
        usage["prompt_tokens_details"] = {"cached_tokens": cached}
    return json.dumps({"choices": [], "usage": usage}).encode()


def read(*payloads: bytes) -> Reading:
    """Payload i arrives at (i + 1) ms."""
    reading = Reading(0, array("q"))
    for number, payload in enumerate(payloads, 1):
        reading.take(payload, number * 1_000_000)
    return reading


def noted(reading: Reading) -> list[tuple[int, Kind, int | None]]:
    """The rows of its token events: milliseconds, kind, tokens."""
    rows = reading._rows
    return [
        (ns // 1_000_000, Kind(word >> KIND_SHIFT & 15), None if word & 0xFFFF == UNKNOWN_TOKENS else word & 0xFFFF)
        for ns, word in zip(rows[0::2], rows[1::2], strict=True)
    ]


def arrivals(reading: Reading) -> list[int]:
    found = [ns for ns, _, _ in noted(reading)]
    assert len(found) == reading.events
    return found


CARRIES = {
    "content": chat(content="a"),
    "content beside a role": chat(role="assistant", content="a"),
    "reasoning": chat(reasoning="hm"),
    "reasoning_content": chat(reasoning_content="hm"),
    "tool call": chat(tool_calls=[{"index": 0, "function": {"name": "f", "arguments": ""}}]),
    "text of completions": text("a"),
    "empty content without a role": chat(content=""),
    "empty text of completions": text(""),
    "token ids beside no text": b'{"choices":[{"index":0,"delta":{"role":"assistant","content":""},"token_ids":[5]}]}',
    "logprobs beside no text": b'{"choices":[{"index":0,"delta":{},"logprobs":{"content":[{"token":"x"}]}}]}',
    "usage that has grown": chat(usage=1),
    "refusal": chat(refusal="no"),
    "function call": chat(function_call={"name": "f", "arguments": ""}),
    "refusal in a list of parts": chat(role="assistant", content=[{"type": "refusal", "refusal": "no"}]),
    "a number as reasoning": chat(role="assistant", reasoning=7),
    "content as a list of parts": chat(content=[{"type": "text", "text": "a"}]),
    "thinking as a list of parts": chat(content=[{"type": "thinking", "thinking": [{"type": "text", "text": "a"}]}]),
    "tool call that is not in a list": chat(tool_calls={"function": {"name": "f", "arguments": "{}"}}),
    "half of a character": b'{"choices":[{"index":0,"delta":{"content":"\\ud83d"}}]}',
    "a logarithm of zero": b'{"choices":[{"delta":{"content":"a"},"logprobs":{"content":[{"logprob":-Infinity}]}}]}',
}

CARRIES_NOT = {
    "role alone": chat(role="assistant", content=""),
    "role with null content": chat(role="assistant", content=None),
    "empty delta": chat(),
    "finish reason alone": chat(finish="stop"),
    "null content": chat(content=None),
    "usage alone": usage_only(12),
    "role with usage of nothing": chat(role="assistant", content="", usage=0),
    "empty list of tool calls": chat(content=None, tool_calls=[]),
}


ODD_COUNTS = ['{"prompt_tokens":9.0,"completion_tokens":2.0}', '{"prompt_tokens":"9","completion_tokens":"2"}']


@pytest.mark.parametrize("usage", ODD_COUNTS)
def test_counts_of_another_type_are_converted(usage: str) -> None:
    reading = read(chat(content="a"), chat(content="b", finish="stop"), f'{{"choices":[],"usage":{usage}}}'.encode())
    assert reading.usage is not None
    assert (reading.usage.prompt_tokens, reading.completion_tokens) == (9, 2)
    assert reading.token_events().tokens == "one"
    message = '"choices":[{"message":{"content":"ab"},"finish_reason":"stop"}]'
    assert read_whole(f'{{{message},"usage":{usage}}}'.encode()).completion_tokens == 2


@pytest.mark.parametrize(
    "usage",
    [
        "7",
        "[]",
        '{"completion_tokens":1.5}',
        '{"completion_tokens":{}}',
        '{"completion_tokens":-8}',
        '{"completion_tokens":1e999}',
        '{"completion_tokens":100000000000000000000000000000}',
        '{"completion_tokens":9007199254740992}',
    ],
)
def test_usage_without_counts_is_ignored(usage: str) -> None:
    assert read(f'{{"choices":[],"usage":{usage}}}'.encode()).completion_tokens is None


@pytest.mark.parametrize("usage", [None, 0])
def test_a_usage_of_zero_after_text_is_ignored(usage: int | None) -> None:
    zeros = b'{"choices":[],"usage":{"prompt_tokens":0,"completion_tokens":0}}'
    reading = read(chat(content="a", usage=usage), chat(content="b", usage=usage), zeros)
    reading.drop_empty_usage()
    assert reading.usage is not None
    assert (reading.usage.prompt_tokens, reading.completion_tokens) == (None, None)
    assert reading.token_events().tokens is None
    silent = read(text(""), text("", "stop"), usage_only(0))
    silent.drop_empty_usage()
    assert silent.completion_tokens == 0


def test_a_finish_reason_of_another_type_ends_the_answer() -> None:
    odd = b'{"choices":[{"index":0,"delta":{},"finish_reason":1}]}'
    assert read(chat(content="a"), odd).finish_reason == "1"


def test_cached_tokens_are_read_beside_counts_of_another_type() -> None:
    details = '"prompt_tokens_details":{"cached_tokens":"4","audio_tokens":0}'
    counts = f'{{"prompt_tokens":"9","completion_tokens":2.0,{details}}}'
    usage = read(f'{{"choices":[],"usage":{counts}}}'.encode()).usage
    assert usage is not None
    assert usage.prompt_tokens_details is not None
    assert usage.prompt_tokens_details.cached_tokens == 4


def test_an_empty_finish_reason_is_ignored() -> None:
    assert read(chat(content="a", finish="")).finish_reason is None
    assert read(chat(content="a", finish="stop"), chat(finish="")).finish_reason == "stop"
    assert read_whole(b'{"choices":[{"message":{"content":"a"},"finish_reason":""}]}').finish_reason is None


@pytest.mark.parametrize("message", [{"refusal": "no"}, {"function_call": {"name": "f"}}, {"content": [{"text": "a"}]}])
def test_an_answer_in_one_piece_may_be_a_refusal_or_a_call(message: dict[str, Any]) -> None:
    assert read_whole(json.dumps({"choices": [{"message": message, "finish_reason": "stop"}]}).encode()).has_text


@pytest.mark.parametrize("payload", CARRIES.values(), ids=CARRIES)
def test_token_events(payload: bytes) -> None:
    assert arrivals(read(payload)) == [1]


@pytest.mark.parametrize("payload", CARRIES_NOT.values(), ids=CARRIES_NOT)
def test_events_that_carry_no_token(payload: bytes) -> None:
    assert arrivals(read(payload)) == []


def test_a_stream_as_vllm_sends_it() -> None:
    reading = read(
        chat(role="assistant", content=""),
        chat(content="Hang"),
        chat(content="zhou"),
        chat(content="", finish="stop"),
        usage_only(3, cached=4),
        b"[DONE]",
    )
    assert arrivals(reading) == [2, 3, 4]
    assert reading.finish_reason == "stop"
    assert reading.done_ns == 6_000_000
    assert reading.usage is not None
    assert reading.usage.prompt_tokens_details is not None
    assert reading.usage.prompt_tokens_details.cached_tokens == 4
    events = reading.token_events()
    assert (events.tokens, events.first_tokens, events.empty) == ("one", 1, 1)
    assert (events.first, events.last) == ((2_000_000, 0), (4_000_000, 0))
    assert [kind for _, kind, _ in noted(reading)] == [Kind.VISIBLE, Kind.VISIBLE, Kind.EMPTY]
    assert reading.visible_ns == 2_000_000
    assert not events.continuous_usage


def test_continuous_usage_gives_the_tokens_of_each_event() -> None:
    reading = read(
        chat(role="assistant", content="", usage=0),
        chat(content="a", usage=1),
        chat(content="bcd", usage=4),
        chat(content="e", usage=5, finish="length"),
        usage_only(5),
    )
    events = reading.token_events()
    assert (events.tokens, events.first_tokens) == ("told", 1)
    assert [tokens for _, _, tokens in noted(reading)] == [1, 3, 1]
    assert events.continuous_usage


def test_an_empty_event_whose_usage_stands_still_carried_nothing() -> None:
    reading = read(chat(content="a", usage=1), chat(content="", usage=1, finish="stop"))
    assert arrivals(reading) == [1]


def test_one_token_each_needs_no_list() -> None:
    assert read(chat(content="a", usage=1), chat(content="b", usage=2)).token_events().tokens == "one"


def test_the_total_in_the_last_chunk_is_no_token_event_of_its_own() -> None:
    reading = read(chat(content="a"), chat(content="b"), chat(finish="stop", usage=2))
    assert arrivals(reading) == [1, 2]
    assert reading.token_events().tokens == "one"


def test_chunks_are_not_taken_for_tokens() -> None:
    merged = read(chat(content="ab"), chat(content="c"), usage_only(3))
    assert merged.token_events().tokens is None
    assert [tokens for _, _, tokens in noted(merged)] == [None, None]
    assert read(chat(content="ab")).token_events().tokens is None  # no usage at all


def test_an_empty_last_event_is_dropped_where_the_usage_does_not_count_it() -> None:
    reading = read(text("a"), text("b"), text("", "length"), usage_only(2))
    events = reading.token_events()
    assert (events.events, events.tokens, events.empty, events.dropped) == (2, "one", 0, 1)
    assert (events.first, events.last) == ((1_000_000, 0), (2_000_000, 0))


def test_a_stream_that_ends_empty_has_its_last_text_before() -> None:
    reading = read(text(""), text("a"), text("b"), text(""), text("", "length"), usage_only(2))
    events = reading.token_events()
    assert (events.events, events.dropped, events.first, events.last) == (2, 3, (2_000_000, 0), (3_000_000, 0))


def test_nothing_but_empty_events_and_a_usage_of_nothing() -> None:
    events = read(text(""), text("", "stop"), usage_only(0)).token_events()
    assert (events.events, events.dropped, events.first, events.tokens) == (0, 2, None, None)


def test_doubts_are_kept_with_their_events() -> None:
    reading = Reading(7, array("q"))
    reading.take(chat(content="a"), 100, 50_000)
    reading.take(chat(content="b"), 100, 0)
    events = reading.token_events()
    assert (events.first, events.last) == ((100, 50_000), (100, 0))
    first, last = reading._rows[1], reading._rows[3]
    assert (first >> 32, (first >> 16) & 0xFFF, (last >> 16) & 0xFFF) == (7, 4, 0)  # in steps of 16.4 µs, rounded up


def test_an_answer_in_one_piece() -> None:
    answer = read_whole(
        b'{"choices":[{"message":{"content":"Hi"},"finish_reason":"stop"}],"usage":{"prompt_tokens":3,"completion_tokens":1}}'
    )
    assert (answer.finish_reason, answer.completion_tokens, answer.has_text) == ("stop", 1, True)
    bare = read_whole(b'{"choices":[{"text":"","finish_reason":"length"}]}')
    assert (bare.finish_reason, bare.completion_tokens, bare.has_text) == ("length", None, False)
    for body in (b"", b"[]", b'{"error":{}}', b'{"choices":7}'):
        with pytest.raises(ChunkError):
            read_whole(body)


def test_only_the_beginning_of_errors_and_finish_reasons_is_kept() -> None:
    reading = read(f'{{"choices":[{{"delta":{{}},"finish_reason":"{"x" * 5000}"}}]}}'.encode())
    assert reading.finish_reason == "x" * 1024
    whole = read_whole(f'{{"choices":[{{"text":"a","finish_reason":"{"x" * 5000}"}}]}}'.encode())
    assert whole.finish_reason == "x" * 1024
    reading.take_error(b'{"error":"' + b"x" * 50_000 + b'"}')
    assert len(reading.error or "") == 8192


def test_the_first_visible_event_comes_after_the_reasoning() -> None:
    reading = read(chat(reasoning="hm"), chat(reasoning="so"), chat(content="Yes"))
    assert reading.visible_ns == 3_000_000
    assert [kind for _, kind, _ in noted(reading)] == [Kind.HIDDEN, Kind.HIDDEN, Kind.VISIBLE]
    assert read(chat(reasoning="hm")).visible_ns is None


@pytest.mark.parametrize(
    "payload",
    [
        b'{"error":{"message":"boom","code":500}}',
        b'{"error":"boom"}',
        b'{"object":"error","message":"boom"}',
        b'{"detail":"boom"}',
        b'{"choices":[],"error":{"message":"boom"}}',
    ],
)
def test_errors_in_the_stream_are_kept(payload: bytes) -> None:
    reading = read(chat(content="a"), payload)
    assert reading.error is not None
    assert reading.error.startswith("error in the stream: boom")
    assert arrivals(reading) == [1]


def test_an_event_of_type_error_is_one_whatever_it_holds() -> None:
    reading = Reading(0, array("q"))
    reading.take_error(b"out of memory")
    assert reading.error == "error in the stream: out of memory"


@pytest.mark.parametrize(
    "payload",
    [b"{", b"[1]", b'"text"', b'{"choices":1}', b'{"choices":[{"delta":{"content":5}}]}', b'{"choices":"\xff"}'],
)
def test_an_invalid_chunk_is_an_error_that_quotes_it(payload: bytes) -> None:
    with pytest.raises(ChunkError, match=r".+: "):
        read(payload)


def test_nothing_after_done_counts() -> None:
    assert arrivals(read(chat(content="a"), b"[DONE]", chat(content="b"))) == [1]


def test_take_returns_the_tokens_of_the_event() -> None:
    reading = Reading(0, array("q"))
    taken = [
        reading.take(payload, 1)
        for payload in (chat(role="assistant"), chat(content="a", usage=2), chat(content="b", usage=5), b"[DONE]")
    ]
    assert taken == [0, 2, 3, 0]


@given(st.lists(st.integers(0, 4), min_size=1, max_size=30))
def test_tokens_of_all_events_sum_to_the_usage(growth: list[int]) -> None:
    totals = [sum(growth[: i + 1]) for i in range(len(growth))]
    reading = read(*(chat(content="x", usage=total) for total in totals))
    assert reading.token_events().tokens is not None
    assert sum(tokens or 0 for _, _, tokens in noted(reading)) == reading.completion_tokens == totals[-1]


@given(st.binary(max_size=60))
def test_any_bytes_are_accepted_or_raise_a_chunk_error(payload: bytes) -> None:
    reading = Reading(0, array("q"))
    try:
        reading.take(payload, 1)
    except ChunkError:
        assert reading.events == 0
