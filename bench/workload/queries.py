"""Which prompt each request carries: a pure function of the request's number, the seed and the run's own token."""

from __future__ import annotations

from dataclasses import dataclass, replace
from random import Random
from typing import Any, Protocol

from bench.units import plural


@dataclass(frozen=True, slots=True)
class Query:
    """One prompt: `messages` for chat, `prompt` for completions; `output_len` is the answer's length in tokens."""

    output_len: int
    prompt: str = ""
    messages: list[dict[str, Any]] | None = None


class Workload(Protocol):
    """Gives request n its query; negative numbers are warm-up requests."""

    def query(self, request: int) -> tuple[int, Query]:
        """The number of the prompt within the workload, and the query itself."""
        ...

    def describe(self) -> str:
        """What is sent, in a few words for the report."""
        ...


class PromptList:
    """Prompts in a seeded order, each once before any comes again.

    With `nonce`, each prompt begins with a token of its own made of it, so that no prefix cache, this run's or an
    earlier one's, can answer for the model; None sends the prompts as they are.
    """

    def __init__(self, queries: list[Query], *, name: str, seed: int, nonce: str | None) -> None:
        self._queries = queries
        self._name = name
        self._seed = seed
        self._nonce = nonce
        self._round = -1
        self._order: list[int] = []

    def query(self, request: int) -> tuple[int, Query]:
        turn, position = divmod(request, len(self._queries))
        if turn != self._round or not self._order:
            self._round = turn
            self._order = list(range(len(self._queries)))
            Random(f"{self._seed}/order/{turn}").shuffle(self._order)
        number = self._order[position]
        query = self._queries[number]
        if self._nonce is not None:
            query = _begin_with(f"[{self._nonce} {request}] ", query)
        return number, query

    def describe(self) -> str:
        return f"{plural(len(self._queries), 'prompt')} of {self._name}"


class SyntheticPrompts:
    """Prompts of `count` words without sense, named for the report by `name`.

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

    def query(self, request: int) -> tuple[int, Query]:
        draw = Random(f"{self._key}/{request}")
        number = request % self._STOCK
        text = " ".join(filter(None, (*draw.choices(self._words, k=self._lead), self._tails[number])))
        if self._chat:
            return number, Query(self._output_len, messages=[{"role": "user", "content": text}])
        return number, Query(self._output_len, prompt=text)

    def describe(self) -> str:
        return self._name


def _begin_with(tag: str, query: Query) -> Query:
    if query.messages is None:
        return replace(query, prompt=tag + query.prompt)
    first, *rest = query.messages
    content = first["content"]
    tagged = tag + content if isinstance(content, str) else [{"type": "text", "text": tag}, *content]
    return replace(query, messages=[first | {"content": tagged}, *rest])
