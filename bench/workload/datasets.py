"""Chooses the prompt of each request: a pure function of its number, the seed and the run's nonce."""

from __future__ import annotations

from dataclasses import dataclass, replace
from random import Random
from typing import Any, Protocol

from bench.units import plural


@dataclass(frozen=True, slots=True)
class Prompt:
    """One prompt: `messages` for chat, `text` for completions; `output_len` is the length of the answer in tokens."""

    output_len: int
    text: str = ""
    messages: list[dict[str, Any]] | None = None


class Workload(Protocol):
    """Gives request n its prompt; negative numbers are warm-up requests."""

    def prompt(self, request: int) -> tuple[int, Prompt]:
        """The number of the prompt within the workload, and the prompt itself."""
        ...

    def describe(self) -> str:
        """The prompts in a few words, for the report."""
        ...


class PromptList:
    """Prompts in a seeded order. Each is sent once before any is repeated.

    With `nonce`, each prompt begins with a token of its own made of it, so that no prefix cache, this run's or an
    earlier one's, can answer for the model; None sends the prompts as they are.
    """

    def __init__(self, prompts: list[Prompt], *, name: str, seed: int, nonce: str | None) -> None:
        self._prompts = prompts
        self._name = name
        self._seed = seed
        self._nonce = nonce
        self._round = -1
        self._order: list[int] = []

    def prompt(self, request: int) -> tuple[int, Prompt]:
        turn, position = divmod(request, len(self._prompts))
        if turn != self._round or not self._order:
            self._round = turn
            self._order = list(range(len(self._prompts)))
            Random(f"{self._seed}/order/{turn}").shuffle(self._order)
        number = self._order[position]
        prompt = self._prompts[number]
        if self._nonce is not None:
            prompt = _begin_with(f"[{self._nonce} {request}] ", prompt)
        return number, prompt

    def describe(self) -> str:
        return f"{plural(len(self._prompts), 'prompt')} of {self._name}"


class SyntheticPrompts:
    """Meaningless prompts of `count` words; the report calls them `name`.

    The first words are drawn for each request alone, the rest comes from a small stock of texts.
    """

    _LEAD = 6
    _STOCK = 32

    def __init__(
        self, words: list[str], count: int, output_len: int, *, name: str, chat: bool, seed: int, nonce: str | None
    ) -> None:
        self._words = words
        self._output_len = output_len
        self._chat = chat
        self._name = name
        self._lead = min(self._LEAD, count)
        self._key = f"{seed}/{nonce or ''}"
        stock = Random(f"{seed}/stock")
        self._tails = [" ".join(stock.choices(words, k=count - self._lead)) for _ in range(self._STOCK)]

    def prompt(self, request: int) -> tuple[int, Prompt]:
        draw = Random(f"{self._key}/{request}")
        number = request % self._STOCK
        text = " ".join(filter(None, (*draw.choices(self._words, k=self._lead), self._tails[number])))
        if self._chat:
            return number, Prompt(self._output_len, messages=[{"role": "user", "content": text}])
        return number, Prompt(self._output_len, text=text)

    def describe(self) -> str:
        return self._name


def _begin_with(tag: str, prompt: Prompt) -> Prompt:
    if prompt.messages is None:
        return replace(prompt, text=tag + prompt.text)
    first, *rest = prompt.messages
    content = first["content"]
    tagged = tag + content if isinstance(content, str) else [{"type": "text", "text": tag}, *content]
    return replace(prompt, messages=[first | {"content": tagged}, *rest])
