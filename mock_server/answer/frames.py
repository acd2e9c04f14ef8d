"""Server-sent events, written as constant JSON around one encoded text. This costs a tenth of building a model.

The bytes are those of the models in `bodies`; a property test compares the two.
"""

from __future__ import annotations

from collections.abc import Sequence
from json.encoder import encode_basestring  # keeps non-ASCII text, as pydantic does
from typing import NamedTuple

from mock_server.answer.choice_delta import ChoiceDelta
from mock_server.engine.base import FinishReason

DONE = "data: [DONE]\n\n"
_FINISH: dict[FinishReason | None, str] = {None: "null", "stop": '"stop"', "length": '"length"'}


class FrameOptions(NamedTuple):
    """Options of all events of one response. `include_usage` adds the usage event, `continuous_usage` adds the usage so
    far to each event.
    """

    id: str
    created: int
    model: str
    prompt_tokens: int
    include_usage: bool = False
    continuous_usage: bool = False
    token_ids: bool = False
    """Whether events contain the tokens of the prompt and the answer."""
    prompts: Sequence[Sequence[int]] = ()
    """The prompt of each choice, if events contain its tokens."""
    is_plain: bool = False
    """`Generation.is_plain` of the response."""


class Frames:
    """Makes the prefixes and suffixes when they are first needed, and keeps them for the response."""

    object: str
    _text_key: str
    _text_end: str

    def __init__(self, options: FrameOptions) -> None:
        self._options = options
        self._head = (
            f'data: {{"id":{encode_basestring(options.id)},"object":"{self.object}","created":{options.created},'
            f'"model":{encode_basestring(options.model)},"choices":['
        )
        self._prompt_tokens = options.prompt_tokens
        self._usage_head = f'{{"prompt_tokens":{options.prompt_tokens},"completion_tokens":'
        self._prefixes: dict[int, str] = {}
        self._last_prompt: tuple[Sequence[int], str] = ((), "[]")
        """The prompt that was written last: the choices of a prompt share it."""
        self._suffixes = {finish: self._suffix(finish) for finish in _FINISH}
        self._wants_token_ids, self._wants_usage = options.token_ids, options.continuous_usage
        self._plain_prefix: str | None = None
        """Set after the first event if the events up to the last one differ in nothing but their text."""
        self._going_on = self._suffixes[None]

    def _suffix(self, finish_reason: FinishReason | None, logprobs: str = "null", extra: str = "") -> str:
        suffix = f'{self._text_end},"logprobs":{logprobs},"finish_reason":{_FINISH[finish_reason]}{extra}}}]'
        if self._options.continuous_usage:
            return suffix + ',"usage":'
        return suffix + (',"usage":null}\n\n' if self._options.include_usage else "}\n\n")

    def events(self, deltas: Sequence[ChoiceDelta]) -> str:
        return self.delta(deltas[0]) if len(deltas) == 1 else "".join(map(self.delta, deltas))

    def delta(self, delta: ChoiceDelta) -> str:
        """The event for a delta. Before a choice's first event comes its opening event, if the form has one."""
        if self._plain_prefix is not None and delta.finish_reason is None:  # nearly every token
            return self._plain_prefix + encode_basestring(delta.text) + self._going_on
        prefix = self._prefixes.get(delta.index)
        if prefix is None:
            return self._first(delta)
        return self._frame(prefix, delta, is_first=False)

    def _first(self, delta: ChoiceDelta) -> str:
        index = delta.index
        prefix = self._prefixes[index] = f'{self._head}{{"index":{index},{self._text_key}'
        if self._options.is_plain and not (self._wants_token_ids or self._wants_usage):
            self._plain_prefix = prefix
        return self._opening(index) + self._frame(prefix, delta, is_first=True)

    def _frame(self, prefix: str, delta: ChoiceDelta, *, is_first: bool) -> str:
        suffix = self._suffixes[delta.finish_reason]
        if delta.logprobs is not None or self._wants_token_ids:
            logprobs = "null" if delta.logprobs is None else delta.logprobs.model_dump_json()
            token_ids = self._token_ids(delta, is_first=is_first) if self._wants_token_ids else ""
            suffix = self._suffix(delta.finish_reason, logprobs, token_ids)
        frame = prefix + encode_basestring(delta.text) + suffix
        if self._wants_usage:
            return f"{frame}{self._usage(delta.completion_tokens)}}}\n\n"
        return frame

    def _opening(self, index: int) -> str:
        return ""

    def _token_ids(self, delta: ChoiceDelta, *, is_first: bool) -> str:
        return f',"token_ids":{_numbers(delta.token_ids)}'

    def _prompt(self, index: int) -> str:
        prompt = self._options.prompts[index]
        if self._last_prompt[0] is not prompt:
            self._last_prompt = prompt, _numbers(prompt)
        return self._last_prompt[1]

    def closing(self, completion_tokens: int) -> str:
        """The usage event if the request asks for it, and the end of the stream."""
        if not self._options.include_usage:
            return DONE
        return f'{self._head}],"usage":{self._usage(completion_tokens)}}}\n\n{DONE}'

    def _usage(self, completion_tokens: int) -> str:
        total_tokens = self._prompt_tokens + completion_tokens
        return f'{self._usage_head}{completion_tokens},"total_tokens":{total_tokens}}}'


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

    def _token_ids(self, delta: ChoiceDelta, *, is_first: bool) -> str:
        token_ids = super()._token_ids(delta, is_first=is_first)
        return f'{token_ids},"prompt_token_ids":{self._prompt(delta.index)}' if is_first else token_ids


def _numbers(token_ids: Sequence[int]) -> str:
    return f"[{','.join(map(str, token_ids))}]"


def error_event(error_body: bytes) -> str:
    """A failure after the headers, and the end of the stream."""
    return f"data: {error_body.decode()}\n\n{DONE}"
