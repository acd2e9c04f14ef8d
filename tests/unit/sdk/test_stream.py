"""Streams as literal bytes, and their chunks, texts, calls and errors."""

from __future__ import annotations

import json

import pytest

from sdk.chunks import ChatCompletionStreamResponse, CompletionStreamResponse
from sdk.deadline import SECOND_NS, Deadline, Timeouts
from sdk.errors import ProtocolError, SDKError, StreamServerError, StreamTruncatedError
from sdk.stream_reader import StreamReader
from sdk.transport.base import Block


def chat(delta: str, finish: str = "null", index: int = 0) -> bytes:
    return b'data: {"id":"c1","choices":[{"index":%d,"delta":%b,"finish_reason":%b}]}\n\n' % (
        index,
        delta.encode(),
        finish.encode(),
    )


DONE = b"data: [DONE]\n\n"
USAGE = b'data: {"choices":[],"usage":{"prompt_tokens":3,"completion_tokens":2,"total_tokens":5}}\n\n'


def reader() -> StreamReader[ChatCompletionStreamResponse]:
    return StreamReader(ChatCompletionStreamResponse, Deadline(Timeouts()))


def read(*blocks: bytes) -> tuple[StreamReader[ChatCompletionStreamResponse], list[ChatCompletionStreamResponse]]:
    stream, chunks = reader(), []
    for block in blocks:
        chunks += stream.feed(Block(block, 0))
    chunks += stream.feed_eof()
    return stream, chunks


def test_a_stream_as_vllm_sends_it() -> None:
    stream, chunks = read(
        chat('{"role":"assistant","content":""}'),
        chat('{"content":"浙"}'),
        chat('{"content":"江"}', '"stop"'),
        USAGE,
        DONE,
    )
    assert [chunk.choices[0].delta.content for chunk in chunks] == ["", "浙", "江"]
    assert (stream.text(), stream.finish_reasons, stream.done) == ("浙江", {0: "stop"}, True)
    assert stream.usage is not None
    assert (stream.usage.prompt_tokens, stream.usage.completion_tokens) == (3, 2)


def test_the_same_at_every_split() -> None:
    whole = chat('{"content":"浙"}') + b": ping\r\n\r\n" + chat('{"content":"🙂"}', '"stop"') + USAGE + DONE
    for cut in range(len(whole)):
        stream, chunks = read(whole[:cut], whole[cut:])
        assert (stream.text(), len(chunks)) == ("浙🙂", 2)


@pytest.mark.parametrize("delta", ["{}", '{"content":null}', "null", '{"role":"assistant"}', '{"role":null}'])
def test_content_is_always_text(delta: str) -> None:
    _, chunks = read(chat(delta), DONE)
    assert chunks[0].choices[0].delta.content == ""


def test_chunks_without_choices_are_not_passed_on() -> None:
    stream, chunks = read(b'data: {"choices":null}\n\n', b'data: {"object":"x"}\n\n', chat("{}", '"stop"'), DONE)
    assert len(chunks) == 1
    assert stream.usage is None


def test_spaces_around_done_do_not_matter() -> None:
    stream, chunks = read(chat('{"content":"a"}'), b"data:  [DONE] \n\n", chat('{"content":"b"}'))
    assert (stream.text(), len(chunks), stream.done) == ("a", 1, True)


def test_several_answers_are_kept_apart() -> None:
    stream, _ = read(
        chat('{"content":"a"}'),
        chat('{"content":"b"}', index=1),
        chat('{"reasoning":"hm"}', index=2),
        chat('{"content":"c"}', '"stop"'),
        chat("{}", '"length"', index=2),
        DONE,
    )
    assert [(one.index, one.text, one.reasoning, one.finish_reason) for one in stream.answers] == [
        (0, "ac", "", "stop"),
        (1, "b", "", None),
        (2, "", "hm", "length"),
    ]
    assert (stream.text(0), stream.text(1), stream.text(3)) == ("ac", "b", "")


def test_an_answer_without_text_keeps_its_place() -> None:
    stream, _ = read(chat('{"role":"assistant"}'), chat('{"content":"b"}', '"stop"', index=1), DONE)
    assert [one.text for one in stream.answers] == ["", "b"]


def test_a_stream_without_choices_is_not_an_answer() -> None:
    with pytest.raises(ProtocolError, match="none of its events had choices"):
        read(USAGE, DONE)


def test_reasoning_under_both_names() -> None:
    stream, _ = read(
        chat('{"reasoning_content":"hm"}'), chat('{"reasoning":", so"}'), chat('{"content":"yes"}', '"stop"'), DONE
    )
    assert (stream.first.reasoning, stream.text()) == ("hm, so", "yes")


def test_tool_calls_are_put_together() -> None:
    stream, _ = read(
        chat('{"tool_calls":[{"index":0,"id":"t1","function":{"name":"f","arguments":""}}]}'),
        chat('{"tool_calls":[{"index":1,"id":"t2","function":{"name":"g","arguments":"{}"}}]}'),
        chat('{"tool_calls":[{"index":0,"function":{"arguments":"{\\"a\\""}}]}'),
        chat('{"tool_calls":[{"index":0,"function":{"arguments":":1}"}}]}', '"tool_calls"'),
        DONE,
    )
    assert [(c.id, c.function.name, c.function.arguments) for c in stream.first.tool_calls] == [
        ("t1", "f", '{"a":1}'),
        ("t2", "g", "{}"),
    ]


def test_usage_on_every_chunk() -> None:
    stream, chunks = read(
        b'data: {"choices":[{"delta":{"content":"a"}}],"usage":{"completion_tokens":1}}\n\n',
        b'data: {"choices":[{"delta":{"content":"b"},"finish_reason":"stop"}],"usage":{"completion_tokens":2}}\n\n',
    )
    assert len(chunks) == 2
    assert stream.usage is not None
    assert stream.usage.completion_tokens == 2


@pytest.mark.parametrize(
    ("blocks", "ends_well"),
    [
        ([chat("{}", '"stop"')], True),
        ([chat("{}"), DONE], True),
        ([chat("{}"), b"data: [DONE]"], True),
        ([chat("{}", '"stop"')[:-1]], True),
        ([chat("{}")], False),
        ([], False),
        ([b": only a comment\n\n"], False),
    ],
)
def test_how_a_stream_may_end(blocks: list[bytes], ends_well: bool) -> None:
    if ends_well:
        read(*blocks)
    else:
        with pytest.raises(StreamTruncatedError, match="without a finish reason"):
            read(*blocks)


def test_an_event_cut_in_its_json_is_a_cut_stream() -> None:
    with pytest.raises(StreamTruncatedError, match="after 0 events inside an event"):
        read(chat("{}")[:30])


def test_an_answer_without_text_must_end_too() -> None:
    with pytest.raises(StreamTruncatedError, match="without a finish reason"):
        read(chat('{"role":"assistant"}'), chat('{"content":"b"}', '"stop"', index=1))


@pytest.mark.parametrize("cut", [True, False])
def test_each_of_several_answers_must_end(cut: bool) -> None:
    blocks = [chat('{"content":"a"}'), chat('{"content":"b"}', index=1), chat("{}", '"stop"')]
    if cut:
        stream = reader()
        for block in blocks:
            stream.feed(Block(block, 0))
        with pytest.raises(StreamTruncatedError, match="without a finish reason"):
            stream.feed_eof()
    else:
        stream, _ = read(*blocks, chat("{}", '"stop"', index=1))
        assert stream.finish_reasons == {0: "stop", 1: "stop"}


@pytest.mark.parametrize(
    ("bad", "kind"),
    [
        (b'data: {"error":{"message":"out of memory"}}\n\n', StreamServerError),
        (b"data: no chunk\n\n", ProtocolError),
        (b'data: {"choices":[],"x":' + b"[" * 60_000 + b"\n\n", ProtocolError),
    ],
)
@pytest.mark.parametrize("together", [True, False])
def test_chunks_before_an_error_are_returned_at_every_split(bad: bytes, kind: type[SDKError], together: bool) -> None:
    good = [chat('{"content":"a"}'), chat('{"content":"b"}')]
    stream = reader()
    if together:
        assert len(stream.feed(Block(b"".join([*good, bad, good[0]]), 0))) == 2
        assert isinstance(stream.failure, kind)
    else:
        assert [len(stream.feed(Block(block, 0))) for block in good] == [1, 1]
        with pytest.raises(kind):
            stream.feed(Block(bad, 0))
    assert stream.text() == "ab"


def test_an_error_together_with_choices_is_raised() -> None:
    stream = reader()
    event = b'data: {"choices":[{"index":0,"delta":{"content":"x"}}],"error":{"message":"gone"}}\n\n'
    assert len(stream.feed(Block(event, 0))) == 1
    assert isinstance(stream.failure, StreamServerError)
    assert "gone" in str(stream.failure)


def test_an_error_event_of_plain_words() -> None:
    with pytest.raises(StreamServerError, match="the engine is gone"):
        reader().feed(Block(b"event: error\ndata: the engine is gone\n\n", 0))


@pytest.mark.parametrize("other", [b"event: ping\ndata: pong\n\n", b"data:\ndata:\n\n", b"event: ping\n\n"])
def test_events_of_other_kinds_are_skipped(other: bytes) -> None:
    stream, chunks = read(other, chat('{"content":"a"}', '"stop"'), other, DONE)
    assert (stream.text(), len(chunks)) == ("a", 1)


@pytest.mark.parametrize(
    ("body", "kind", "says"),
    [
        (b'{"error":{"message":"no such model"}}', StreamServerError, "no such model"),
        (b'{"choices":[{"message":{"content":"whole"}}]}', ProtocolError, "did not stream"),
        (b"hello", StreamTruncatedError, "after 0 events"),
    ],
)
def test_a_json_body_instead_of_a_stream_is_reported(body: bytes, kind: type[SDKError], says: str) -> None:
    with pytest.raises(kind, match=says):
        read(body[:9], body[9:])


def test_an_empty_usage_is_ignored() -> None:
    stream, _ = read(chat("{}", '"stop"'), b'data: {"choices":[],"usage":{"prompt_tokens":null}}\n\n', DONE)
    assert stream.usage is not None
    assert stream.usage.prompt_tokens == 0
    stream, _ = read(chat("{}", '"stop"'), b'data: {"choices":[],"usage":{"prompt_tokens":"many"}}\n\n', DONE)
    assert stream.usage is not None
    assert stream.usage.prompt_tokens == 0


def test_a_call_in_many_pieces() -> None:
    piece = '{"tool_calls":[{"index":0,"id":%s,"function":{"name":%s,"arguments":"%s"}}]}'
    stream, _ = read(
        chat(piece % ('"c1"', '"look"', "{")),
        *(chat(piece % ("null", "null", "x")) for _ in range(1000)),
        chat(piece % ("null", "null", "}"), '"tool_calls"'),
        DONE,
    )
    (call,) = stream.first.tool_calls
    assert (call.id, call.type, call.function.name) == ("c1", "function", "look")
    assert call.function.arguments == "{" + "x" * 1000 + "}"


def test_nothing_counts_after_done() -> None:
    stream, chunks = read(chat('{"content":"a"}', '"stop"') + DONE + chat('{"content":"b"}'), chat('{"content":"c"}'))
    assert (stream.text(), len(chunks)) == ("a", 1)


@pytest.mark.parametrize("done", [b"data: [DONE]xyz\n\n", b"data: DONE\n\n"])
def test_done_is_matched_exactly(done: bytes) -> None:
    with pytest.raises(ProtocolError):
        read(chat("{}"), done)


@pytest.mark.parametrize(
    ("event", "message"),
    [
        (b'data: {"error":{"message":"out of memory","code":500,"type":"InternalServerError"}}\n\n', "out of memory"),
        (b'data: {"object":"error","message":"flat","code":400}\n\n', "flat"),
        (b'event: error\ndata: {"message":"typed"}\n\n', "typed"),
        (b'data: {"error":"short"}\n\n', "short"),
        (b'data: {"error":{"message":"nested"},"choices":null}\n\n', "nested"),
    ],
)
def test_an_error_inside_the_stream(event: bytes, message: str) -> None:
    stream = reader()
    stream.feed(Block(chat('{"content":"so far"}'), 0))
    with pytest.raises(StreamServerError, match=message):
        stream.feed(Block(event, 0))
    assert stream.text() == "so far"


@pytest.mark.parametrize(
    "payload",
    [
        b"{",
        b"hello",
        b'{"choices":7}',
        b'{"choices":[{"delta":{"content":"\xff"}}]}',
        b'{"choices":[{"delta":7}]}',
        b"[]",
    ],
)
def test_the_error_for_an_invalid_chunk_names_its_event(payload: bytes) -> None:
    with pytest.raises(ProtocolError, match="event 2 of the stream"):
        read(chat("{}"), b"data: " + payload + b"\n\n")


def test_completions() -> None:
    stream = StreamReader(CompletionStreamResponse, Deadline(Timeouts()))
    blocks = [b'data: {"choices":[{"index":0,"text":"a"}]}\n\ndata: {"choices":[{"text":null}]}\n\n', DONE]
    assert [c.choices[0].text for b in blocks for c in stream.feed(Block(b, 0))] == ["a", ""]
    assert stream.text() == "a"


@pytest.mark.parametrize(
    ("event", "is_progress"),
    [
        (b": keep-alive\n\n", False),
        (b"event: ping\ndata: {}\n\n", False),
        (chat("{}"), False),
        (chat("null"), False),
        (chat('{"role":"assistant","content":""}'), False),
        (chat('{"content":null,"tool_calls":[],"reasoning":""}'), False),
        (b'data: {"choices":[]}\n\n', False),
        (b'data: {"choices":[],"usage":null}\n\n', False),
        (b'data: {"choices":[{"delta":{}}],"usage":{"completion_tokens":1}}\n\n', False),
        (b'data: {"choices":[{"delta":{}}],"usage":{"completion_tokens":2}}\n\n', True),
        (USAGE, True),
        (chat('{"content":"a"}'), True),
        (chat('{"content":"a"}', index=1), True),
        (chat('{"content":[{"type":"text","text":"a"}]}'), True),
        (chat('{"reasoning":"a"}'), True),
        (chat('{"reasoning_content":"a"}', index=1), True),
        (chat('{"refusal":"a"}'), True),
        (chat('{"tool_calls":[{"index":0,"function":{"arguments":"a"}}]}'), True),
        (chat('{"function_call":{"arguments":"a"}}'), True),
        (chat("{}", '"stop"'), True),
    ],
)
def test_only_progress_restarts_the_stall_limit(event: bytes, is_progress: bool) -> None:
    deadline = Deadline(Timeouts(total=None, stall=1), now_ns=0)
    deadline.enter("stall", 0)
    stream = StreamReader(ChatCompletionStreamResponse, deadline)
    stream.feed(Block(b'data: {"choices":[],"usage":{"completion_tokens":1}}\n\n', 0))
    stream.feed(Block(event, SECOND_NS // 2))
    assert deadline.expires_ns() == SECOND_NS * (3 if is_progress else 2) // 2


@pytest.mark.parametrize(
    ("choice", "is_progress"), [({"text": "a"}, True), ({"text": ""}, False), ({"token_ids": [1]}, True)]
)
def test_only_progress_of_a_completion_restarts_the_stall_limit(choice: dict[str, object], is_progress: bool) -> None:
    deadline = Deadline(Timeouts(total=None, stall=1), now_ns=0)
    deadline.enter("stall", 0)
    stream = StreamReader(CompletionStreamResponse, deadline)
    stream.feed(Block(b"data: %b\n\n" % json.dumps({"choices": [choice]}).encode(), SECOND_NS // 2))
    assert deadline.expires_ns() == SECOND_NS * (3 if is_progress else 2) // 2


def test_a_chunk_keeps_a_servers_own_fields() -> None:
    _, [chunk, _] = read(
        b'data: {"id":"c1","choices":[{"delta":{"content":"a"},"token_ids":[5]}],"prompt_token_ids":[1]}\n\n',
        chat("{}", '"stop"'),
    )
    assert (chunk.id, chunk.choices[0].token_ids) == ("c1", [5])
    assert chunk.prompt_token_ids == [1]
    assert chunk.model_dump()["choices"][0]["delta"] == {"content": "a"}
    assert json.loads(chunk.model_dump_json()) == chunk.model_dump()
    with pytest.raises(AttributeError, match="no attribute 'kv_transfer_params'"):
        chunk.kv_transfer_params  # noqa: B018


def test_reading_the_text_after_each_chunk_does_not_join_old_pieces_again() -> None:
    stream = reader()
    for _ in range(50):
        stream.feed(Block(chat('{"content":"ab"}'), 0))
        assert stream.text().endswith("ab")
    assert stream.text() == "ab" * 50


def test_errors_of_a_stream_are_sdk_errors() -> None:
    assert issubclass(StreamTruncatedError, SDKError)
