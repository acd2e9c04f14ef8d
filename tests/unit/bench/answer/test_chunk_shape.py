"""Chunks known by their look are accounted for exactly as if each had been parsed."""

from __future__ import annotations

import json
from array import array
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from bench.answer.chunk_shape import PIECE_END, learn_shape
from bench.answer.events import ChunkError, Reading

Rows = list[int]


def frame(payload: bytes, *, upper: bool = False) -> bytes:
    """One event as one HTTP chunk."""
    event = b"data: " + payload + b"\n\n"
    size = b"%X" % len(event) if upper else b"%x" % len(event)
    return size + b"\r\n" + event + b"\r\n"


def openai(text: str, tokens: int) -> bytes:
    """As a server sends it that writes spaces and escapes what is not ASCII, and no usage."""
    choice = {"index": 0, "delta": {"content": text}, "logprobs": None, "finish_reason": None}
    return json.dumps({"id": "c-1", "object": "chat.completion.chunk", "model": "m", "choices": [choice]}).encode()


def vllm(text: str, tokens: int) -> bytes:
    """As vLLM sends it when it was asked for usage with every event."""
    choice = {"index": 0, "delta": {"content": text}, "logprobs": None, "finish_reason": None, "token_ids": None}
    usage = {"prompt_tokens": 9, "total_tokens": 9 + tokens, "completion_tokens": tokens}
    chunk = {"id": "c-1", "created": 1, "model": "m", "choices": [choice], "usage": usage}
    return json.dumps(chunk, separators=(",", ":"), ensure_ascii=False).encode()


def completions(text: str, tokens: int) -> bytes:
    choice = {"index": 0, "text": text, "finish_reason": None}
    usage = {"prompt_tokens": 9, "completion_tokens": tokens, "total_tokens": 9 + tokens}
    return json.dumps({"choices": [choice], "usage": usage}, separators=(",", ":"), ensure_ascii=False).encode()


def reasoning(text: str, tokens: int) -> bytes:
    return json.dumps({"choices": [{"index": 0, "delta": {"reasoning": text}}], "usage": None}).encode()


SERVERS = {"openai": openai, "vllm": vllm, "completions": completions, "reasoning": reasoning}


class Stream:
    """A reading fed by payloads, by their look where it knows them."""

    def __init__(self, *, by_look: bool = True) -> None:
        self.rows = array("q")
        self.reading = Reading(3, self.rows)
        self.taken = 0
        self._by_look = by_look
        self._shape: Any = None
        self._now = 0

    def feed(self, payload: bytes) -> None:
        self._now += 1000
        piece = frame(payload)
        if self._shape is not None and self._shape.take(piece, self._now):
            self.taken += 1
            return
        self.reading.add_plain()
        before = self.reading.events
        self.reading.take(payload, self._now)
        if self._by_look and self.reading.events > before:
            self._shape = self.reading.learn_shape(piece)

    def end(self) -> tuple[Any, ...]:
        """All that came of it."""
        self.reading.add_plain()
        usage = self.reading.usage
        return (
            self.reading.token_events(),
            self.rows.tolist(),
            self.reading.visible_ns,
            usage,
            self.reading.finish_reason,
        )


@pytest.mark.parametrize("server", SERVERS.values(), ids=SERVERS)
def test_plain_chunks_are_known_after_the_first(server: Any) -> None:
    stream, parsed = Stream(), Stream(by_look=False)
    for number in range(1, 31):
        for one in (stream, parsed):
            one.feed(server(f" word{number}", number))
    assert stream.taken == 29
    assert stream.end() == parsed.end()
    assert stream.reading.events == 30


def test_an_uppercase_chunk_size_is_known_as_well() -> None:
    payload = vllm("some words that make it long enough", 1)
    assert frame(payload, upper=True) != frame(payload)
    shape = learn_shape(frame(payload, upper=True), 1)
    assert shape is not None
    shape.tokens = 1
    assert shape.take(frame(vllm("some other words that make it long", 2), upper=True), 5)
    assert not shape.take(frame(vllm("some other words that make it long", 3)), 5)


texts = st.text(st.characters(codec="utf-8"), max_size=6)


@given(st.sampled_from(list(SERVERS.values())), st.lists(st.tuples(texts, st.integers(0, 2)), min_size=1, max_size=20))
def test_a_known_shape_gives_the_same_account_as_parsing(server: Any, sent: list[tuple[str, int]]) -> None:
    stream, parsed = Stream(), Stream(by_look=False)
    tokens = 0
    for text, grown in sent:
        tokens += grown
        for one in (stream, parsed):
            one.feed(server(text, tokens))
    assert stream.end() == parsed.end()


@given(st.sampled_from(list(SERVERS.values())), st.integers(0, 300), st.binary(min_size=1, max_size=3))
def test_a_damaged_chunk_is_taken_only_if_parsing_gives_the_same_account(
    server: Any, position: int, damage: bytes
) -> None:
    stream, parsed = Stream(), Stream(by_look=False)
    whole = server(" next", 2)
    at = position % len(whole)
    damaged = whole[:at] + damage + whole[at + len(damage) :]
    outcomes = []
    for one in (stream, parsed):
        one.feed(server(" first", 1))
        try:
            one.feed(damaged)
            outcomes.append(one.end())
        except ChunkError:
            outcomes.append(())
    assert outcomes[0] == outcomes[1]


@pytest.mark.parametrize(
    "piece",
    [
        b"",
        b"7\r\ndata: \n",
        frame(b"[DONE]"),
        frame(b'{"choices":[{"delta":{"content":""}}]}'),
        frame(b'{"choices":[{"delta":{"content":"a\\n"}}]}'),
        frame(b'{"choices":[{"delta":{"content":"a"}}]}').replace(b"data: ", b"data:"),
        b"0" + frame(b'{"choices":[{"delta":{"content":"a"}}]}'),
        b"zz\r\n" + frame(b'{"choices":[{"delta":{"content":"a"}}]}')[4:],
        frame(b'{"choices":[{"delta":{"content":"a"}}]}')[:-1],
    ],
)
def test_a_piece_without_plain_text_in_one_chunk_has_no_shape(piece: bytes) -> None:
    assert learn_shape(piece, None) is None


def test_another_text_field_is_not_mistaken_for_the_tokens() -> None:
    """The tokens are in a tool call here, and beside it stands a constant text under a name that texts have."""
    reading = Reading(0, array("q"))
    call = b'{"index":0,"function":{"arguments":"{}"}}'
    payload = b'{"choices":[{"delta":{"tool_calls":[%b]},"note":{"content":"x"}}]}' % call
    reading.take(payload, 1)
    assert reading.events == 1
    assert reading.learn_shape(frame(payload)) is None


def test_learning_stops_for_a_stream_that_never_fits() -> None:
    stream = Stream()
    for number in range(1, 20):
        stamped = json.loads(openai("a", 0)) | {"created": number}
        stream.feed(json.dumps(stamped).encode())
    assert stream.taken == 0
    assert stream.reading.learn_shape(frame(openai("a", 0))) is None


def test_the_end_of_a_piece_is_that_of_its_event_and_its_chunk() -> None:
    assert frame(b"x").endswith(PIECE_END)
