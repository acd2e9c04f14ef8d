"""Server-sent events as constant JSON around one encoded text: a tenth of what building a model costs.

The bytes are those of the models in `responses`; a property test holds the two together.
"""

from __future__ import annotations

from collections.abc import Sequence
from json.encoder import encode_basestring  # leaves non-ASCII text as it is, like pydantic
from typing import NamedTuple

from mock_server.answer.generation import ChoiceDelta
from mock_server.engine.base import FinishReason

DONE = "data: [DONE]\n\n"
_FINISH: dict[FinishReason | None, str] = {None: "null", "stop": '"stop"', "length": '"length"'}


class FrameOptions(NamedTuple):
    """What the events of one response share. `include_usage` adds the usage event, `continuous_usage`
    the running usage on each event.
    """

    id: str
    created: int
    model: str
    prompt_tokens: int
    include_usage: bool = False
    continuous_usage: bool = False
    token_ids: bool = False
    """Whether the tokens of prompt and answer are told."""
    prompts: Sequence[Sequence[int]] = ()
    """The prompt of each choice, where its tokens are told."""


class Frames:
    """Prefixes and suffixes, made when first needed and kept for the response."""

    object: str
    _text_key: str
    _text_end: str

    def __init__(self, options: FrameOptions) -> None:
        self._options = options
        self._head = (
            f'data: {{"id":{encode_basestring(options.id)},"object":"{self.object}","created":{options.created},'
            f'"model":{encode_basestring(options.model)},"choices":['
        )
        self._prefixes: dict[int, str] = {}
        self._told_prompt: tuple[Sequence[int], str] = ((), "[]")
        """The prompt that was written last: those of a prompt's choices are the same."""
        self._suffixes = {finish: self._suffix(finish) for finish in _FINISH}
        self._first_prefix: str | None = None
        """Of choice 0 once it has begun, if its events have nothing that changes but their text."""
        self._going_on = self._suffixes[None]

    def _suffix(self, finish_reason: FinishReason | None, logprobs: str = "null", extra: str = "") -> str:
        suffix = f'{self._text_end},"logprobs":{logprobs},"finish_reason":{_FINISH[finish_reason]}{extra}}}]'
        if self._options.continuous_usage:
            return suffix + ',"usage":'
        return suffix + (',"usage":null}\n\n' if self._options.include_usage else "}\n\n")

    def events(self, deltas: Sequence[ChoiceDelta]) -> str:
        return self.delta(deltas[0]) if len(deltas) == 1 else "".join(map(self.delta, deltas))

    def delta(self, delta: ChoiceDelta) -> str:
        """The event for what a choice gained; a choice's first one brings the choice's opening event."""
        index, text, finish_reason, completion_tokens, logprobs, token_ids = delta
        if self._first_prefix is not None and not index and finish_reason is None and logprobs is None:
            return self._first_prefix + encode_basestring(text) + self._going_on  # nearly every token
        prefix = self._prefixes.get(index)
        opening = ""
        is_first = prefix is None
        if prefix is None:
            opening = self._opening(index)
            prefix = self._prefixes[index] = f'{self._head}{{"index":{index},{self._text_key}'
            if not (index or self._options.token_ids or self._options.continuous_usage):
                self._first_prefix = prefix
        if self._options.token_ids:
            written = "null" if logprobs is None else logprobs.model_dump_json()
            suffix = self._suffix(finish_reason, written, self._token_ids(index, token_ids, is_first=is_first))
        elif logprobs is None:
            suffix = self._suffixes[finish_reason]
        else:
            suffix = self._suffix(finish_reason, logprobs.model_dump_json())
        frame = opening + prefix + encode_basestring(text) + suffix
        if self._options.continuous_usage:
            return f"{frame}{self._usage(completion_tokens)}}}\n\n"
        return frame

    def _opening(self, index: int) -> str:
        return ""

    def _token_ids(self, index: int, token_ids: Sequence[int], *, is_first: bool) -> str:
        return f',"token_ids":{_numbers(token_ids)}'

    def _prompt(self, index: int) -> str:
        prompt = self._options.prompts[index]
        if self._told_prompt[0] is not prompt:
            self._told_prompt = prompt, _numbers(prompt)
        return self._told_prompt[1]

    def closing(self, completion_tokens: int) -> str:
        """The usage event if it was asked for, and the end of the stream."""
        if not self._options.include_usage:
            return DONE
        return f'{self._head}],"usage":{self._usage(completion_tokens)}}}\n\n{DONE}'

    def _usage(self, completion_tokens: int) -> str:
        prompt_tokens = self._options.prompt_tokens
        return (
            f'{{"prompt_tokens":{prompt_tokens},"completion_tokens":{completion_tokens},'
            f'"total_tokens":{prompt_tokens + completion_tokens}}}'
        )


class ChatFrames(Frames):
    object = "chat.completion.chunk"
    _text_key = '"delta":{"content":'
    _text_end = "}"

    def _opening(self, index: int) -> str:
        """The event that names the role."""
        options = self._options
        suffix = self._suffixes[None]
        if options.token_ids:
            prompt = f'}}],"prompt_token_ids":{self._prompt(index)}'
            suffix = suffix.replace("}]", prompt, 1)
        frame = f'{self._head}{{"index":{index},"delta":{{"role":"assistant","content":""{suffix}'
        return f"{frame}{self._usage(0)}}}\n\n" if options.continuous_usage else frame


class CompletionFrames(Frames):
    object = "text_completion"
    _text_key = '"text":'
    _text_end = ""

    def _token_ids(self, index: int, token_ids: Sequence[int], *, is_first: bool) -> str:
        told = super()._token_ids(index, token_ids, is_first=is_first)
        return f'{told},"prompt_token_ids":{self._prompt(index)}' if is_first else told


def _numbers(token_ids: Sequence[int]) -> str:
    return f"[{','.join(map(str, token_ids))}]"


def error_event(error_body: bytes) -> str:
    """A failure after the headers, and the end of the stream."""
    return f"data: {error_body.decode()}\n\n{DONE}"
