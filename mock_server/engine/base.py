"""What the server asks of an engine, and nothing more: token ids in, deltas of token ids out.
Text, stop strings, usage and the wire stand above, once for every engine.
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
"""What not every engine can do; requests that ask for it are refused where the engine cannot."""

_RANGE = "streamgauge.range"


class TokenLogprob(NamedTuple):
    """A token with its natural log probability, and its rank among all tokens (1 = likeliest)."""

    token_id: int
    logprob: float
    rank: int | None = None


class PositionLogprobs(NamedTuple):
    """One position of a sequence: the token that stands there, and the likeliest ones, likeliest first."""

    chosen: TokenLogprob
    top: Sequence[TokenLogprob]


class Delta(NamedTuple):
    """Tokens that one choice gained at one moment, with their log probabilities where they were asked for.

    `finish_reason` "stop" means that the last of `token_ids` is what stopped the choice (end of sequence
    or one of the request's `stop_token_ids`): it counts as generated and is not shown.
    """

    choice: int
    token_ids: Sequence[int]
    finish_reason: FinishReason | None
    logprobs: Sequence[PositionLogprobs] | None = None


class Scheduled(NamedTuple):
    """When a choice came to the engine's queue, and when the engine took it up; by `time.monotonic`."""

    queued_at: float
    at: float


class DeltaStream(Protocol):
    """Batches of deltas, each batch all that was ready; closing it aborts the request in the engine."""

    @property
    def prompt_logprobs(self) -> Sequence[PositionLogprobs | None] | None:
        """One entry a prompt token, None for the first; there after the first batch, if asked for."""

    @property
    def first_token_at(self) -> float | None:
        """When the first token was there, by `time.monotonic`; None: when it was handed over, or not yet."""

    def scheduled(self, choice: int) -> Scheduled | None:
        """None: not yet, or the engine cannot tell."""

    def unread_tokens(self) -> Mapping[int, int]:
        """Tokens that choices have gained and that were not handed over; none where the engine cannot tell."""

    def __aiter__(self) -> DeltaStream: ...

    async def __anext__(self) -> Sequence[Delta]: ...

    async def aclose(self) -> None: ...


@runtime_checkable
class PushStream(DeltaStream, Protocol):
    """A stream that can also call its reader, which saves waking a task for each batch."""

    def listen(self, callback: Callable[[], None] | None) -> None:
        """From here on calls `callback`, which takes, whenever something is ready; nobody may iterate meanwhile.
        None: no longer.
        """

    def take(self) -> Sequence[Delta]:
        """All that is ready; an `EngineError` when that is the engine's failure. Never waits."""


class Detokenizer(Protocol):
    """Token ids to text, as they come; never half a character."""

    def push(self, token_ids: Sequence[int]) -> str: ...


@dataclass(frozen=True, slots=True)
class CallForm:
    """A function that an answer may call, with its arguments' schema and the request field it comes from."""

    name: str
    parameters: Any
    origin: str


@dataclass(frozen=True, slots=True)
class StructuredOutput:
    """What the answer must be an instance of: a JSON schema, a regular expression, one of several strings …"""

    kind: Literal["json", "json_object", "regex", "choice", "grammar", "structural_tag"]
    value: Any
    options: Mapping[str, Any] = field(default_factory=dict)
    origin: str = field(default="", compare=False)
    """The request field that asks for it."""
    subject: str = field(default="", compare=False)
    """What that field describes, if its name does not say."""
    calls: tuple[CallForm, ...] = field(default=(), compare=False)
    """The functions, if the answer must be a list of calls instead of what `value` describes."""
    max_calls: int | None = field(default=None, compare=False)


def _sampling(within: Range) -> Any:
    """A sampling parameter: a field of `GenerationParams` whose default is the model's."""
    return field(default=None, metadata={_RANGE: within})


@dataclass(frozen=True, slots=True)
class GenerationParams:
    """How to generate; None means that the request did not say, and the engine's default holds."""

    max_tokens: int
    """At least 1 when an engine receives it."""
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
    """Log probabilities of each token generated and of so many likeliest ones; 0: of the token alone."""
    prompt_logprobs: int | None = None
    logit_bias: Mapping[int, float] = field(default_factory=dict)
    allowed_token_ids: Sequence[int] = ()
    bad_words: Sequence[str] = ()
    structured_output: StructuredOutput | None = None
    priority: int = 0
    """Lower is sooner."""
    final_only: bool = False
    """The caller wants nothing before the end: the engine may hand over a choice in one delta."""

    @property
    def greedy(self) -> bool:
        return self.temperature == 0


SAMPLING: Mapping[str, Range] = {
    field.name: field.metadata[_RANGE] for field in fields(GenerationParams) if _RANGE in field.metadata
}
"""The sampling parameters and their ranges. Requests, engines and `GenerationConfig` use these names."""


@dataclass(frozen=True, slots=True)
class ChatTurn:
    """One message of a conversation, reduced to text and a number of images before it."""

    role: str
    content: str
    fields: Mapping[str, Any] = field(default_factory=dict)
    """What else the message has that templates know: `tool_calls`, `tool_call_id`, `name`."""
    images: int = 0
    """Only where the model sees images."""


@dataclass(frozen=True, slots=True)
class ChatOptions:
    """How a conversation becomes a prompt; `template_kwargs` are what the model's template knows by itself."""

    add_generation_prompt: bool = True
    continue_final: bool = False
    tools: Sequence[Mapping[str, Any]] = ()
    """Functions that the model may call, as OpenAI describes them."""
    template_kwargs: Mapping[str, Any] = field(default_factory=dict)


DEFAULT_CHAT = ChatOptions()

# What decides the prompt's form stands in the request under names of its own; the rest are transformers' parameters.
_RESERVED = (
    "conversation", "messages", "tools", "tokenize", "add_generation_prompt", "continue_final_message", "chat_template",
    "self", "padding", "truncation", "max_length", "return_tensors", "return_dict", "return_assistant_tokens_mask",
    "tokenizer_kwargs",
)  # fmt: skip


def asks_to_think(options: ChatOptions) -> bool:
    """By the names that most models' templates know."""
    effort = options.template_kwargs.get("reasoning_effort")
    return bool(options.template_kwargs.get("enable_thinking", effort not in (None, "none")))


def check_template_kwargs(options: ChatOptions) -> None:
    """Raises `RequestRefusedError`."""
    for name in _RESERVED:
        if name in options.template_kwargs:
            raise RequestRefusedError(f"chat_template_kwargs cannot set {name}", "chat_template_kwargs")


@dataclass(frozen=True, slots=True)
class Adapter:
    """A LoRA adapter by name; the path may be empty where the engine needs no files."""

    name: str
    path: str = ""


@dataclass(frozen=True, slots=True)
class EngineInfo:
    """What does not change while the engine runs, known once it has started. `profile` names how it was set up,
    in one word.
    """

    name: str
    profile: str
    max_model_len: int
    vocab_size: int
    has_chat_template: bool = True
    default_max_tokens: int | None = None
    """The model's own limit for answers whose request names none."""
    max_logprobs: int = 20
    features: frozenset[Feature] = frozenset()
    tool_format: str | None = None
    """How its model writes calls of tools, if that is known; `message_reader` has the names."""
    reasoning_format: str | None = None
    """How it marks its thoughts, for a model that thinks when it is asked to (`asks_to_think`)."""
    image_tokens: int | None = None
    """What an image in a chat counts as; None: the model reads text only."""


@dataclass(frozen=True, slots=True)
class EngineStats:
    """Counters since the start, and what runs now. `lag_s` tells how late the engine's own clock ran
    (p50, p99, max): a large figure means that the process, not the model, set the pace.
    """

    running: int
    waiting: int
    requests: int
    prompt_tokens: int
    generated_tokens: int
    steps: int = 0
    lag_s: Mapping[str, float] = field(default_factory=dict)


class Engine(Protocol):
    """One model that generates. Calls come from one event loop; `start` comes first."""

    @property
    def info(self) -> EngineInfo: ...

    async def start(self) -> None:
        """Raises `EngineStartError`. When cancelled it leaves nothing running."""

    async def stop(self) -> None:
        """Ends every stream with `EngineDeadError`; safe to call twice."""

    def check_health(self) -> None:
        """Raises `EngineDeadError` when the engine cannot serve."""

    async def wait_until_dead(self) -> EngineDeadError:
        """Returns when the engine has died by itself, as opposed to having been stopped."""

    def stats(self) -> EngineStats: ...

    def own_metrics(self) -> bytes | None:
        """The engine's metrics in Prometheus' text form, where it keeps vLLM's itself; None: the server counts."""

    async def tokenize(self, text: str) -> list[int]: ...

    async def detokenize(self, token_ids: Sequence[int]) -> str:
        """The text of all tokens, special ones written out."""

    def token_bytes(self, token_id: int) -> bytes:
        """The bytes that a token stands for, special ones written out."""

    async def render_chat(self, turns: Sequence[ChatTurn], options: ChatOptions = DEFAULT_CHAT) -> list[int]:
        """The conversation as the model's prompt, by its chat template.

        Raises `RequestRefusedError` for a conversation that the template refuses.
        """

    def detokenizer(self, prompt_token_ids: Sequence[int]) -> Detokenizer:
        """For one choice that goes on from this prompt."""

    async def generate(
        self,
        prompt_token_ids: Sequence[int],
        params: GenerationParams,
        *,
        request_id: str,
        adapter: str | None = None,
    ) -> DeltaStream:
        """Admits the request; what refuses it or fails it later is an `EngineError`, raised here or by the stream."""

    async def add_adapter(self, adapter: Adapter) -> None:
        """Requests may name it from here on. Raises `AdapterError`."""

    async def remove_adapter(self, name: str) -> None:
        """Requests under way end as they began; new ones may not name it."""
