from __future__ import annotations

from hypothesis import given
from hypothesis import strategies as st

from mock_server.answer.bodies import (
    ChatChunkChoice,
    ChatCompletionChunk,
    ChatDelta,
    ChatLogprobs,
    Completion,
    CompletionChoice,
    CompletionLogprobs,
    TokenLogprobEntry,
    TopLogprobEntry,
    Usage,
)
from mock_server.answer.choice_delta import ChoiceDelta
from mock_server.answer.frames import DONE, ChatFrames, CompletionFrames, FrameOptions, error_event
from mock_server.answer.message_frames import MessageFrames
from mock_server.answer.message_reader import HermesReader, ReasoningReader
from mock_server.answer.whole_message import whole_message
from mock_server.engine.base import FinishReason

texts = st.text()
options = st.builds(
    FrameOptions,
    id=texts,
    created=st.integers(0, 2**40),
    model=texts,
    prompt_tokens=st.integers(0, 10**6),
    include_usage=st.booleans(),
    continuous_usage=st.booleans(),
    token_ids=st.just(False),
    prompts=st.just(()),
    is_plain=st.just(False),
).map(lambda drawn: drawn._replace(include_usage=drawn.include_usage or drawn.continuous_usage))
plain_options = options.map(lambda drawn: drawn._replace(is_plain=True))  # one choice, and no log probabilities
finish_reasons = st.sampled_from([None, "stop", "length"])
counts = st.integers(0, 10**6)
figures = st.floats(-9999, 0)
bytes_of_a_token = st.binary(max_size=4).map(list)
tops = st.builds(TopLogprobEntry, token=texts, logprob=figures, bytes=bytes_of_a_token)
entries = st.builds(
    TokenLogprobEntry,
    token=texts,
    logprob=figures,
    bytes=bytes_of_a_token,
    top_logprobs=st.lists(tops, max_size=2),
)
chat_logprobs = st.none() | st.builds(ChatLogprobs, content=st.lists(entries, max_size=2), refusal=st.none())
completion_logprobs = st.none() | st.builds(
    CompletionLogprobs,
    text_offset=st.lists(counts, max_size=2),
    token_logprobs=st.lists(st.none() | figures, max_size=2),
    tokens=st.lists(texts, max_size=2),
    top_logprobs=st.lists(st.none() | st.dictionaries(texts, figures, max_size=2), max_size=2),
)


def usage(options: FrameOptions, completion_tokens: int) -> Usage:
    return Usage(
        prompt_tokens=options.prompt_tokens,
        completion_tokens=completion_tokens,
        total_tokens=options.prompt_tokens + completion_tokens,
    )


def usage_field(options: FrameOptions, completion_tokens: int) -> dict[str, Usage | None]:
    if options.continuous_usage:
        return {"usage": usage(options, completion_tokens)}
    return {"usage": None} if options.include_usage else {}


def event(model: ChatCompletionChunk | Completion) -> str:
    return f"data: {model.json_bytes().decode()}\n\n"


def chat_event(options: FrameOptions, choices: list[ChatChunkChoice], **more: object) -> str:
    head = {"id": options.id, "created": options.created, "model": options.model}
    return event(ChatCompletionChunk(object="chat.completion.chunk", choices=choices, **head, **more))  # type: ignore[arg-type]


def completion_event(options: FrameOptions, choices: list[CompletionChoice], **usage: Usage | None) -> str:
    head = {"id": options.id, "created": options.created, "model": options.model}
    return event(Completion(object="text_completion", choices=choices, **head, **usage))  # type: ignore[arg-type]


@given(options, st.integers(0, 200), texts, finish_reasons, counts, chat_logprobs)
def test_a_chat_frame_is_byte_for_byte_its_model(
    options: FrameOptions,
    index: int,
    text: str,
    finish_reason: FinishReason | None,
    count: int,
    logprobs: ChatLogprobs | None,
) -> None:
    def choice(
        delta: ChatDelta, finish_reason: FinishReason | None, logprobs: ChatLogprobs | None = None
    ) -> list[ChatChunkChoice]:
        return [ChatChunkChoice(index=index, delta=delta, logprobs=logprobs, finish_reason=finish_reason)]

    frames = ChatFrames(options)
    role = chat_event(options, choice(ChatDelta(role="assistant", content=""), None), **usage_field(options, 0))
    content = chat_event(
        options,
        choice(ChatDelta(content=text), finish_reason, logprobs),
        **usage_field(options, count),
    )
    assert frames.delta(ChoiceDelta(index, text, finish_reason, count, logprobs, (1,))) == role + content
    assert (
        frames.delta(ChoiceDelta(index, text, finish_reason, count, logprobs, (1,))) == content
    )  # the role comes once


@given(options, st.integers(0, 200), texts, finish_reasons, counts, completion_logprobs)
def test_a_completion_frame_is_byte_for_byte_its_model(
    options: FrameOptions,
    index: int,
    text: str,
    finish_reason: FinishReason | None,
    count: int,
    logprobs: CompletionLogprobs | None,
) -> None:
    choice = CompletionChoice(index=index, text=text, logprobs=logprobs, finish_reason=finish_reason)
    expected = completion_event(options, [choice], **usage_field(options, count))
    assert CompletionFrames(options).delta(ChoiceDelta(index, text, finish_reason, count, logprobs, (1,))) == expected


ids = st.lists(st.integers(0, 2**31), max_size=3)


@given(options, texts, finish_reasons, counts, ids, ids, chat_logprobs)
def test_a_chat_frame_with_its_tokens_is_its_model_too(
    options: FrameOptions,
    text: str,
    finish_reason: FinishReason | None,
    count: int,
    prompt: list[int],
    token_ids: list[int],
    logprobs: ChatLogprobs | None,
) -> None:
    options = options._replace(token_ids=True, prompts=[prompt])
    frames = ChatFrames(options)
    role = ChatChunkChoice(index=0, delta=ChatDelta(role="assistant", content=""), logprobs=None, finish_reason=None)
    content = ChatChunkChoice(
        index=0, delta=ChatDelta(content=text), logprobs=logprobs, finish_reason=finish_reason, token_ids=token_ids
    )
    opening = chat_event(options, [role], prompt_token_ids=prompt, **usage_field(options, 0))
    expected = chat_event(options, [content], **usage_field(options, count))
    assert frames.delta(ChoiceDelta(0, text, finish_reason, count, logprobs, token_ids)) == opening + expected


@given(options, texts, finish_reasons, counts, ids, ids)
def test_a_completion_frame_with_its_tokens_is_its_model_too(
    options: FrameOptions,
    text: str,
    finish_reason: FinishReason | None,
    count: int,
    prompt: list[int],
    token_ids: list[int],
) -> None:
    options = options._replace(token_ids=True, prompts=[prompt])
    frames = CompletionFrames(options)
    for first in ({"prompt_token_ids": prompt}, {}):
        choice = CompletionChoice(
            index=0, text=text, logprobs=None, finish_reason=finish_reason, token_ids=token_ids, **first
        )
        expected = completion_event(options, [choice], **usage_field(options, count))
        assert frames.delta(ChoiceDelta(0, text, finish_reason, count, None, token_ids)) == expected


@given(options, st.lists(st.sampled_from(["<think>", "</think>", "a", '<tool_call>{"name": "f"}</tool_call>'])), counts)
def test_frames_of_a_message_with_parts_add_up_to_the_whole_message(
    options: FrameOptions, pieces: list[str], count: int
) -> None:
    def reader() -> ReasoningReader:
        return ReasoningReader(HermesReader(lambda: "call"))

    frames = MessageFrames(options, reader, ends_with_calls=True)
    written = "".join(frames.delta(ChoiceDelta(0, piece, None, count, None, (1,))) for piece in pieces)
    written += frames.delta(ChoiceDelta(0, "", "stop", count, None, (1,)))
    chunks = [ChatCompletionChunk.model_validate_json(event[6:]) for event in written.split("\n\n")[:-1]]
    choices = [chunk.choices[0] for chunk in chunks]
    whole = whole_message("".join(pieces), reader())
    assert choices[0].delta.role == "assistant"
    assert "".join(choice.delta.content or "" for choice in choices) == (whole.content or "")
    thoughts = "".join(choice.delta.reasoning or "" for choice in choices)
    assert thoughts.removesuffix("\n") == (whole.reasoning or "")
    calls = [call for choice in choices for call in choice.delta.tool_calls or () if call.id]
    assert len(calls) == len(whole.tool_calls or ())
    assert choices[-1].finish_reason == ("tool_calls" if calls else "stop")


@given(options, st.lists(texts), st.booleans())
def test_the_frames_of_a_plain_generation_are_the_same(options: FrameOptions, pieces: list[str], is_chat: bool) -> None:
    kind = ChatFrames if is_chat else CompletionFrames
    deltas = [ChoiceDelta(0, piece, None, number, None, (1,)) for number, piece in enumerate(pieces)]
    deltas.append(ChoiceDelta(0, "", "stop", len(pieces), None, (2,)))
    plain, other = kind(options._replace(is_plain=True)), kind(options)
    assert [plain.delta(delta) for delta in deltas] == [other.delta(delta) for delta in deltas]


@given(options, counts)
def test_the_usage_event_is_its_model_and_done_ends_the_stream(options: FrameOptions, count: int) -> None:
    for frames, make in ((ChatFrames(options), chat_event), (CompletionFrames(options), completion_event)):
        wanted = make(options, [], usage=usage(options, count)) if options.include_usage else ""  # type: ignore[operator]
        assert frames.closing(count) == wanted + DONE


def test_an_error_event_is_followed_by_the_end() -> None:
    assert error_event(b'{"error":{}}') == 'data: {"error":{}}\n\ndata: [DONE]\n\n'


@given(plain_options, texts, finish_reasons, counts)
def test_a_frame_of_a_plain_generation_is_byte_for_byte_its_model(
    options: FrameOptions, text: str, finish_reason: FinishReason | None, count: int
) -> None:
    delta = ChoiceDelta(0, text, finish_reason, count, None, (1,))
    completion = CompletionChoice(index=0, text=text, logprobs=None, finish_reason=finish_reason)
    assert CompletionFrames(options).delta(delta) == completion_event(
        options, [completion], **usage_field(options, count)
    )
    frames = ChatFrames(options)
    frames.delta(delta)  # it includes the role
    chat = ChatChunkChoice(index=0, delta=ChatDelta(content=text), logprobs=None, finish_reason=finish_reason)
    assert frames.delta(delta) == chat_event(options, [chat], **usage_field(options, count))
