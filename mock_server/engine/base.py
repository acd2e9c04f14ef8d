"""The interface of engines: token ids in, deltas of token ids out. Text, stop strings, usage and the wire are above it,
written once for all engines.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field, fields
from typing import Any, Literal, NamedTuple, Protocol, runtime_checkable

from mock_server.engine.errors import EngineDeadError, RequestRefusedError
from mock_server.engine.ranges import Number, Range, Whole

FinishReason = Literal["stop", "length"]
Feature = Literal[
    "logprobs",
    "prompt_logprobs",
    "structured_outputs",
    "logit_bias",
    "allowed_token_ids",
    "bad_words",
    "priority",
]
"""What only some engines can do. The server refuses requests for features that the engine lacks."""

_RANGE = "streamgauge.range"


class TokenLogprob(NamedTuple):
    """A token with its natural log probability, and its rank among all tokens (1 = likeliest)."""

    token_id: int
    logprob: float
    rank: int | None = None


class PositionLogprobs(NamedTuple):
    """One position of a sequence: its token, and the likeliest ones, likeliest first."""

    chosen: TokenLogprob
    top: Sequence[TokenLogprob]


class Delta(NamedTuple):
    """Tokens that one choice gained at one moment, with their log probabilities if requested.

    With the `finish_reason` "stop", the last of `token_ids` stopped the choice (end of sequence or one of the
    request's `stop_token_ids`): it counts as generated and is not shown.
    """

    choice: int
    token_ids: Sequence[int]
    finish_reason: FinishReason | None
    logprobs: Sequence[PositionLogprobs] | None = None


class Scheduled(NamedTuple):
    """When a choice entered the engine's queue, and when the engine started it; by `time.monotonic`."""

    queued_at: float
    at: float


class DeltaStream(Protocol):
    """Batches of deltas. A batch is everything that was ready. Closing the stream aborts the request in the engine."""

    @property
    def prompt_logprobs(self) -> Sequence[PositionLogprobs | None] | None:
        """One entry for each prompt token, None for the first. Available after the first batch if requested."""

    @property
    def first_token_at(self) -> float | None:
        """When the first token was ready, by `time.monotonic`. None: when it was handed over, or not yet."""

    def scheduled(self, choice: int) -> Scheduled | None:
        """None: not yet, or the engine does not know."""

    def unread_tokens(self) -> Mapping[int, int]:
        """The number of tokens that each choice has gained but not handed over; empty if the engine does not know."""

    def __aiter__(self) -> DeltaStream: ...

    async def __anext__(self) -> Sequence[Delta]: ...

    async def aclose(self) -> None: ...


@runtime_checkable
class PushStream(DeltaStream, Protocol):
    """A stream that can also call its reader, which avoids waking a task for each batch."""

    def listen(self, callback: Callable[[], None] | None) -> None:
        """Calls `callback`, which must use `take`, when something is ready. Do not iterate meanwhile. None: stop."""

    def take(self) -> Sequence[Delta]:
        """Returns everything that is ready, without waiting. Raises `EngineError` if the engine has failed."""


class Detokenizer(Protocol):
    """Turns token ids into text as they arrive, and never returns half a character."""

    def push(self, token_ids: Sequence[int]) -> str: ...


@dataclass(frozen=True, slots=True)
class CallForm:
    """A function that an answer may call, with the schema of its arguments and the request field that has it."""

    name: str
    parameters: Any
    origin: str


@dataclass(frozen=True, slots=True)
class StructuredOutput:
    """What the answer must conform to: a JSON schema, a regular expression, one of several strings …"""

    kind: Literal["json", "json_object", "regex", "choice", "grammar", "structural_tag"]
    value: Any
    options: Mapping[str, Any] = field(default_factory=dict)
    origin: str = field(default="", compare=False)
    """The request field that asks for it."""
    subject: str = field(default="", compare=False)
    """What that field describes, unless its name makes it clear."""
    calls: tuple[CallForm, ...] = field(default=(), compare=False)
    """The functions, if the answer must be a list of calls. `value` does not apply then."""
    max_calls: int | None = field(default=None, compare=False)


def _sampling(within: Range) -> Any:
    """A sampling parameter: a field of `GenerationParams` whose default is the model's."""
    return field(default=None, metadata={_RANGE: within})


@dataclass(frozen=True, slots=True)
class GenerationParams:
    """How to generate. None: not in the request, so the engine's default applies."""

    max_tokens: int
    """At least 1 when an engine gets it."""
    min_tokens: int = 0
    n: int = 1
    temperature: float | None = _sampling(Number(0, 2))
    top_p: float | None = _sampling(Number(0, 1, low_open=True))
    top_k: int | None = _sampling(Whole(-1))
    min_p: float | None = _sampling(Number(0, 1))
    presence_penalty: float | None = _sampling(Number(-2, 2))
    frequency_penalty: float | None = _sampling(Number(-2, 2))
    repetition_penalty: float | None = _sampling(Number(0, low_open=True))
    seed: int | None = None
    stop_token_ids: frozenset[int] = frozenset()
    ignore_eos: bool = False
    logprobs: int | None = None
    """Give log probabilities of each generated token and of this many likeliest ones; 0: of the token alone."""
    prompt_logprobs: int | None = None
    logit_bias: Mapping[int, float] = field(default_factory=dict)
    allowed_token_ids: Sequence[int] = ()
    bad_words: Sequence[str] = ()
    structured_output: StructuredOutput | None = None
    priority: int = 0
    """Lower is sooner."""
    final_only: bool = False
    """The caller needs nothing before the end: the engine may hand over each choice in one delta."""

    @property
    def greedy(self) -> bool:
        return self.temperature == 0


SAMPLING: Mapping[str, Range] = {
    field.name: field.metadata[_RANGE] for field in fields(GenerationParams) if _RANGE in field.metadata
}
"""The sampling parameters and their ranges. Requests, engines and `GenerationConfig` use these names."""


@dataclass(frozen=True, slots=True)
class ChatTurn:
    """One message of a conversation, reduced to its text and the number of images before it."""

    role: str
    content: str
    fields: Mapping[str, Any] = field(default_factory=dict)
    """Other fields that templates know: `tool_calls`, `tool_call_id`, `name`."""
    images: int = 0
    """Only for models that accept images."""


@dataclass(frozen=True, slots=True)
class ChatOptions:
    """How a conversation becomes a prompt. `template_kwargs` are variables of the model's own template."""

    add_generation_prompt: bool = True
    continue_final: bool = False
    tools: Sequence[Mapping[str, Any]] = ()
    """Functions that the model may call, as OpenAI describes them."""
    template_kwargs: Mapping[str, Any] = field(default_factory=dict)


DEFAULT_CHAT = ChatOptions()

# The request has fields of its own for some of these; the others are parameters of transformers.
_RESERVED = (
    "conversation", "messages", "tools", "tokenize", "add_generation_prompt", "continue_final_message", "chat_template",
    "self", "padding", "truncation", "max_length", "return_tensors", "return_dict", "return_assistant_tokens_mask",
    "tokenizer_kwargs",
)  # fmt: skip


def asks_to_think(options: ChatOptions) -> bool:
    """Whether the variables that most models' templates use ask for reasoning."""
    effort = options.template_kwargs.get("reasoning_effort")
    return bool(options.template_kwargs.get("enable_thinking", effort not in (None, "none")))


def check_template_kwargs(options: ChatOptions) -> None:
    """Raises `RequestRefusedError`."""
    for name in _RESERVED:
        if name in options.template_kwargs:
            raise RequestRefusedError(f"chat_template_kwargs cannot set {name}", "chat_template_kwargs")


@dataclass(frozen=True, slots=True)
class Adapter:
    """A LoRA adapter by name. The path may be empty if the engine needs no files."""

    name: str
    path: str = ""


@dataclass(frozen=True, slots=True)
class EngineInfo:
    """Facts about an engine that has started; they do not change. `profile` describes its setup in one word."""

    name: str
    profile: str
    max_model_len: int
    vocab_size: int
    has_chat_template: bool = True
    default_max_tokens: int | None = None
    """The model's own limit on answers, for requests without one."""
    max_logprobs: int = 20
    features: frozenset[Feature] = frozenset()
    tool_format: str | None = None
    """The format in which the model writes tool calls, if known: one of `message_reader.TOOL_FORMATS`."""
    reasoning_format: str | None = None
    """The format in which the model marks its thoughts, if it can think on request (`asks_to_think`)."""
    image_tokens: int | None = None
    """How many tokens an image in a chat counts as; None: the model reads text only."""


@dataclass(frozen=True, slots=True)
class EngineStats:
    """Counters since the start, and what is running now. `lag_s` is how late the engine's own clock fired (p50, p99,
    max): if it is large, the process and not the model set the pace.
    """

    running: int
    waiting: int
    requests: int
    prompt_tokens: int
    generated_tokens: int
    steps: int = 0
    lag_s: Mapping[str, float] = field(default_factory=dict)


class Engine(Protocol):
    """One model that generates. Call it from one event loop, and call `start` first."""

    @property
    def info(self) -> EngineInfo: ...

    async def start(self) -> None:
        """Raises `EngineStartError`. If cancelled, it leaves nothing running."""

    async def stop(self) -> None:
        """Ends every stream with `EngineDeadError`; safe to call twice."""

    def check_health(self) -> None:
        """Raises `EngineDeadError` when the engine cannot serve."""

    async def wait_until_dead(self) -> EngineDeadError:
        """Returns when the engine has died without being stopped."""

    def stats(self) -> EngineStats: ...

    def own_metrics(self) -> bytes | None:
        """The engine's metrics in Prometheus' text format, if it keeps vLLM's itself. None: the server counts."""

    async def tokenize(self, text: str) -> list[int]: ...

    async def detokenize(self, token_ids: Sequence[int]) -> str:
        """The text of all tokens, including special ones."""

    def token_bytes(self, token_id: int) -> bytes:
        """The bytes of a token, including those of special ones."""

    async def render_chat(self, turns: Sequence[ChatTurn], options: ChatOptions = DEFAULT_CHAT) -> list[int]:
        """Renders the conversation as a prompt, with the model's chat template.

        Raises `RequestRefusedError` for a conversation that the template refuses.
        """

    def detokenizer(self, prompt_token_ids: Sequence[int]) -> Detokenizer:
        """A detokenizer for one choice that continues this prompt."""

    async def generate(
        self,
        prompt_token_ids: Sequence[int],
        params: GenerationParams,
        *,
        request_id: str,
        adapter: str | None = None,
    ) -> DeltaStream:
        """Admits the request. If it is refused or fails later, this or the stream raises `EngineError`."""

    async def add_adapter(self, adapter: Adapter) -> None:
        """Makes the adapter available to requests. Raises `AdapterError`."""

    async def remove_adapter(self, name: str) -> None:
        """Removes the adapter for new requests. Requests under way keep it until they end."""
