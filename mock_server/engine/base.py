"""What the server asks of an engine, and nothing more: token ids in, deltas of token ids out.
Text, stop strings, usage and the wire stand above, once for every engine.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Literal, NamedTuple, Protocol

FinishReason = Literal["stop", "length"]


class EngineError(Exception):
    """The engine failed a request that was valid."""


class EngineDeadError(EngineError):
    """The engine has stopped or died: it serves nothing until it is started again."""


class Delta(NamedTuple):
    """Tokens that one choice gained at one moment.

    `finish_reason` "stop" means that the last of `token_ids` is what stopped the choice (end of sequence
    or one of the request's `stop_token_ids`): it counts as generated and is not shown.
    """

    choice: int
    token_ids: Sequence[int]
    finish_reason: FinishReason | None


class DeltaStream(Protocol):
    """Batches of deltas, each batch all that was ready; closing it aborts the request in the engine."""

    def __aiter__(self) -> "DeltaStream": ...

    async def __anext__(self) -> Sequence[Delta]: ...

    async def aclose(self) -> None: ...


class Detokenizer(Protocol):
    """Token ids to text, as they come; never half a character."""

    def push(self, token_ids: Sequence[int]) -> str: ...


@dataclass(frozen=True, slots=True)
class GenerationParams:
    """How to generate; None means that the request did not say, and the engine's default holds."""

    max_tokens: int
    min_tokens: int = 0
    n: int = 1
    temperature: float | None = None
    top_p: float | None = None
    top_k: int | None = None
    min_p: float | None = None
    presence_penalty: float | None = None
    frequency_penalty: float | None = None
    repetition_penalty: float | None = None
    seed: int | None = None
    stop_token_ids: frozenset[int] = frozenset()
    ignore_eos: bool = False
    final_only: bool = False
    """The caller wants nothing before the end: the engine may hand over a choice in one delta."""

    @property
    def greedy(self) -> bool:
        return self.temperature == 0


@dataclass(frozen=True, slots=True)
class ChatTurn:
    """One message of a conversation, reduced to text."""

    role: str
    content: str


@dataclass(frozen=True, slots=True)
class Adapter:
    """A LoRA adapter by name; the path may be empty where the engine needs no files."""

    name: str
    path: str = ""


@dataclass(frozen=True, slots=True)
class EngineInfo:
    """What does not change while the engine runs. `profile` names how it was set up, in one word."""

    name: str
    profile: str
    max_model_len: int
    vocab_size: int


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

    async def start(self) -> None: ...

    async def stop(self) -> None:
        """Ends every stream with `EngineDeadError`; safe to call twice."""

    def check_health(self) -> None:
        """Raises `EngineDeadError` when the engine cannot serve."""

    def stats(self) -> EngineStats: ...

    async def tokenize(self, text: str) -> list[int]: ...

    async def detokenize(self, token_ids: Sequence[int]) -> str:
        """The text of all tokens, special ones written out."""

    async def render_chat(
        self, turns: Sequence[ChatTurn], *, add_generation_prompt: bool = True, continue_final: bool = False
    ) -> list[int]:
        """The conversation as the model's prompt, by its chat template."""

    def detokenizer(self) -> Detokenizer: ...

    async def generate(
        self,
        prompt_token_ids: Sequence[int],
        params: GenerationParams,
        *,
        request_id: str,
        adapter: str | None = None,
    ) -> DeltaStream:
        """Admits the request; a refusal (`EngineError`) is raised here, before any token.

        Failures after that are raised by the stream.
        """

    async def add_adapter(self, adapter: Adapter) -> None: ...

    async def remove_adapter(self, name: str) -> None: ...
