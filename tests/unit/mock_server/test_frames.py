from hypothesis import given
from hypothesis import strategies as st

from mock_server.engine.base import FinishReason
from mock_server.frames import DONE, ChatFrames, CompletionFrames, FrameOptions, error_event
from mock_server.responses import (
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

texts = st.text()
options = st.builds(
    FrameOptions,
    id=texts,
    created=st.integers(0, 2**40),
    model=texts,
    prompt_tokens=st.integers(0, 10**6),
    include_usage=st.booleans(),
    continuous_usage=st.booleans(),
).map(lambda drawn: drawn._replace(include_usage=drawn.include_usage or drawn.continuous_usage))
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


def chat_event(options: FrameOptions, choices: list[ChatChunkChoice], **usage: Usage | None) -> str:
    head = {"id": options.id, "created": options.created, "model": options.model}
    return event(ChatCompletionChunk(object="chat.completion.chunk", choices=choices, **head, **usage))  # type: ignore[arg-type]


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
    assert frames.delta((index, text, finish_reason, count, logprobs, (1,))) == role + content
    assert frames.delta((index, text, finish_reason, count, logprobs, (1,))) == content  # the role comes once


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
    assert CompletionFrames(options).delta((index, text, finish_reason, count, logprobs, (1,))) == expected


@given(options, counts)
def test_the_usage_event_is_its_model_and_done_ends_the_stream(options: FrameOptions, count: int) -> None:
    for frames, make in ((ChatFrames(options), chat_event), (CompletionFrames(options), completion_event)):
        wanted = make(options, [], usage=usage(options, count)) if options.include_usage else ""  # type: ignore[operator]
        assert frames.closing(count) == wanted + DONE


def test_an_error_event_is_followed_by_the_end() -> None:
    assert error_event(b'{"error":{}}') == 'data: {"error":{}}\n\ndata: [DONE]\n\n'
