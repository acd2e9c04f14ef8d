"""Answers in the form of another endpoint, with other numbers, or as whole messages: nothing is lost."""

from __future__ import annotations

import json
import threading
from typing import Any

import pytest

from sdk import CompletionResponse, InferenceClient, StreamTruncatedError
from sdk.chunks import ChatCompletionStreamResponse, CompletionStreamResponse
from sdk.deadline import Deadline, Timeouts
from sdk.stream_reader import StreamReader
from sdk.transport.base import Block
from tests.support.gateway import CHAT, COMPLETIONS, events, gateway, reply_json
from tests.support.wire import HEADERS, Peer, WireServer

DONE = b"[DONE]"


def choice(index: int | None = None, reason: str | None = None, **fields: Any) -> dict[str, Any]:
    numbered = {} if index is None else {"index": index}
    return {**numbered, **fields, "finish_reason": reason}


def event(*choices: dict[str, Any]) -> bytes:
    return json.dumps({"choices": list(choices)}).encode()


def piece(content: str, index: int | None = 0, reason: str | None = None) -> dict[str, Any]:
    return choice(index, reason, delta={"content": content})


class InTwoParts:
    """Plays a stream whose rest waits until the client has looked at the first event."""

    def __init__(self, first: bytes, rest: bytes) -> None:
        self._parts = first, rest
        self.looked = threading.Event()

    def play(self, peer: Peer) -> None:
        while peer.read_request():
            first, rest = self._parts
            peer.send(HEADERS)
            peer.chunk(b"data: %b\n\n" % first)
            self.looked.wait(10)
            peer.chunk(b"data: %b\n\ndata: [DONE]\n\n" % rest)
            peer.end()


@pytest.mark.parametrize("index", [1, 7, -1, 10**30])
def test_a_single_answer_is_the_first_whatever_its_number(index: int) -> None:
    sent = InTwoParts(event(piece("a", index)), event(piece("b", index, "stop")))
    with WireServer(sent.play) as server, InferenceClient(server.url) as client:
        with client.chat_stream("m", "q") as stream:
            next(stream)
            assert stream.text == "a"
            sent.looked.set()
            assert list(stream)
        assert (stream.text, stream.finish_reason, stream.texts) == ("ab", "stop", ["ab"])


def test_an_error_has_the_text_of_a_single_answer_whatever_its_number() -> None:
    sent = events(event(piece("half", 1)))
    with WireServer(gateway({CHAT: sent})) as server, InferenceClient(server.url) as client:
        with pytest.raises(StreamTruncatedError, match="after 1 event without") as caught:
            list(client.chat_stream("m", "q"))
        assert caught.value.partial == "half"


def test_the_first_of_several_answers_is_known_at_the_end_if_numbers_begin_at_one() -> None:
    sent = InTwoParts(event(piece("b", 2, "stop")), event(piece("a", 1, "stop")))
    with WireServer(sent.play) as server, InferenceClient(server.url) as client:
        with client.chat_stream("m", "q", n=2) as stream:
            next(stream)
            assert stream.text == ""  # number 0 may still come
            sent.looked.set()
            assert list(stream)
        assert (stream.text, stream.texts) == ("a", ["a", "b"])


def test_answers_without_numbers_are_numbered_by_position() -> None:
    sent = events(event(piece("a", None), piece("b", None)), event(piece("c", None), piece("d", None, "stop")), DONE)
    whole = reply_json({"choices": [{"message": {"content": "a"}}, {"message": {"content": "b"}}]})
    with WireServer(gateway({CHAT: sent})) as server, InferenceClient(server.url) as client:
        with client.chat_stream("m", "q", n=2) as stream:
            chunks = list(stream)
        assert stream.texts == ["ac", "bd"]
        assert [item.index for item in chunks[0].choices] == [0, 1]
    with WireServer(gateway({CHAT: whole})) as server, InferenceClient(server.url) as client:
        answer = client.chat("m", "q", n=2)
        assert [(item.index, item.message.content) for item in answer.choices] == [(0, "a"), (1, "b")]


def test_two_pieces_of_one_answer_in_one_event_stay_together() -> None:
    sent = events(event(piece("a"), piece("b")), event(piece("", 0, "stop")), DONE)
    with WireServer(gateway({CHAT: sent})) as server, InferenceClient(server.url) as client:
        with client.chat_stream("m", "q") as stream:
            list(stream)
        assert stream.texts == ["ab"]


CHAT_FORMS: dict[str, list[dict[str, Any]]] = {
    "a completion's text": [choice(0, text="h"), choice(0, "stop", text="i")],
    "text parts": [choice(0, text=["h", "i"], reason="stop")],
    "one whole message": [choice(0, "stop", message={"content": "hi"})],
    "messages that grow": [choice(0, message={"content": "h"}), choice(0, "stop", message={"content": "hi"})],
    "messages that are pieces": [choice(0, message={"content": "h"}), choice(0, "stop", message={"content": "i"})],
    "pieces, and the whole message at the end": [
        choice(0, delta={"content": "h"}),
        choice(0, delta={"content": "i"}),
        choice(0, "stop", message={"content": "hi"}),
    ],
    "a null delta beside the whole message": [
        choice(0, delta={"content": "hi"}),
        choice(0, "stop", delta=None, message={"content": "hi"}),
    ],
    "pieces beside messages": [
        choice(0, delta={"content": "h"}, message={"content": "h"}),
        choice(0, "stop", delta={"content": "i"}, message={"content": "hi"}),
    ],
}


@pytest.mark.parametrize("form", CHAT_FORMS)
@pytest.mark.parametrize("endpoint", [CHAT, COMPLETIONS])
def test_a_stream_in_another_form_is_read(form: str, endpoint: str) -> None:
    sent = events(*(event(item) for item in CHAT_FORMS[form]), DONE)
    with WireServer(gateway({endpoint: sent})) as server, InferenceClient(server.url) as client:
        texts: list[str] = []
        if endpoint == CHAT:
            with client.chat_stream("m", "q") as chat:
                texts += [chunk.choices[0].delta.content for chunk in chat]
            assert (chat.text, chat.finish_reason) == ("hi", "stop")
        else:
            with client.complete_stream("m", "q") as completion:
                texts += [chunk.choices[0].text for chunk in completion]
            assert (completion.text, completion.finish_reason) == ("hi", "stop")
        assert "".join(texts) == "hi"


def test_calls_of_a_whole_message_count_once() -> None:
    call = {"id": "a", "type": "function", "function": {"name": "f", "arguments": "{}"}}
    reader = StreamReader(ChatCompletionStreamResponse, Deadline(Timeouts()))
    for item in (choice(0, delta={"reasoning": "so", "tool_calls": [call]}), choice(0, "stop", message={})):
        item.get("message", {}).update({"content": "x", "reasoning_content": "so on", "tool_calls": [call]})
        reader.feed(Block(b"data: %b\n\n" % event(item), 0))
    assert [found.function.name for found in reader.first.tool_calls] == ["f"]
    assert (reader.first.text, reader.first.reasoning) == ("x", "so on")


@pytest.mark.parametrize(
    "sent", [{"text": "hi"}, {"text": ["h", "i"]}, {"message": {"content": "hi"}}, {"delta": {"content": "hi"}}]
)
def test_a_whole_answer_in_another_form_is_read(sent: dict[str, Any]) -> None:
    body = reply_json({"choices": [{**sent, "finish_reason": "stop"}]})
    with WireServer(gateway({CHAT: body, COMPLETIONS: body})) as server, InferenceClient(server.url) as client:
        assert client.chat("m", "q").choices[0].message.content == "hi"
        completion = client.complete("m", "q")
        assert isinstance(completion, CompletionResponse)
        assert completion.choices[0].text == "hi"


@pytest.mark.parametrize("kind", [ChatCompletionStreamResponse, CompletionStreamResponse])
@pytest.mark.parametrize("reason", ["null", "None", ""])
def test_a_null_like_finish_reason_does_not_end_the_answer(kind: type[Any], reason: str) -> None:
    reader: StreamReader[Any] = StreamReader(kind, Deadline(Timeouts()))
    reader.feed(Block(b"data: %b\n\n" % event(choice(0, reason, text="a", delta={"content": "a"})), 0))
    with pytest.raises(StreamTruncatedError):
        reader.feed_eof()


def test_an_empty_usage_does_not_replace_one_that_counts() -> None:
    reader = StreamReader(ChatCompletionStreamResponse, Deadline(Timeouts()))
    for usage in ({"completion_tokens": 2}, {}, None):
        reader.feed(Block(b"data: %b\n\n" % json.dumps({"choices": [], "usage": usage}).encode(), 0))
    assert reader.usage is not None
    assert reader.usage.completion_tokens == 2


@pytest.mark.parametrize("done", [b'"[DONE]"', b"[done]", b" [DONE] "])
def test_the_end_may_be_quoted_or_in_small_letters(done: bytes) -> None:
    reader = StreamReader(ChatCompletionStreamResponse, Deadline(Timeouts()))
    reader.feed(Block(b"data: %b\n\ndata: %b\n\n" % (event(piece("a")), done), 0))
    assert reader.done
