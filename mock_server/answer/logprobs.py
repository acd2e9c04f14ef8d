"""Log probabilities in the form of the API: one form for chat, and OpenAI's older one for completions."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from itertools import zip_longest
from typing import Generic, TypeVar

from pydantic_core import to_json

from mock_server.answer.bodies import (
    ChatLogprobs,
    CompletionLogprobs,
    PromptLogprobs,
    PromptTokenLogprob,
    TokenLogprobEntry,
    TopLogprobEntry,
)
from mock_server.engine.base import PositionLogprobs, TokenLogprob

_L = TypeVar("_L", ChatLogprobs, CompletionLogprobs)

Logprobs = ChatLogprobs | CompletionLogprobs
TokenBytes = Callable[[int], bytes]
_ADDED_A_PIECE = 256
_LEAST = -9999.0  # OpenAI's number for minus infinity, which JSON does not have


class LogprobsWriter(ABC, Generic[_L]):
    """Writes positions in the form of one route, each with the `top` likeliest tokens."""

    def __init__(self, token_bytes: TokenBytes, top: int) -> None:
        self._token_bytes = token_bytes
        self._top = top

    @abstractmethod
    def write(
        self, token_ids: Sequence[int], positions: Sequence[PositionLogprobs | None], offsets: Sequence[int]
    ) -> _L:
        """`positions` has one for each token, and None for the first token of a prompt. `offsets` has the place where
        the text of each token begins, in characters of the choice's text.
        """

    @staticmethod
    @abstractmethod
    def join(pieces: Iterable[_L]) -> _L:
        """The log probabilities of several deltas as one object."""

    def _text(self, token_id: int) -> str:
        return self._token_bytes(token_id).decode("utf-8", "replace")


class ChatLogprobsWriter(LogprobsWriter[ChatLogprobs]):
    def write(
        self, token_ids: Sequence[int], positions: Sequence[PositionLogprobs | None], offsets: Sequence[int]
    ) -> ChatLogprobs:
        content = [self._entry(position) for position in positions if position is not None]
        return ChatLogprobs(content=content, refusal=None)

    def _entry(self, position: PositionLogprobs) -> TokenLogprobEntry:
        chosen = position.chosen
        data = self._token_bytes(chosen.token_id)
        return TokenLogprobEntry(
            token=data.decode("utf-8", "replace"),
            logprob=_finite(chosen.logprob),
            bytes=list(data),
            top_logprobs=[self._top_entry(token) for token in position.top[: self._top]],
        )

    def _top_entry(self, token: TokenLogprob) -> TopLogprobEntry:
        data = self._token_bytes(token.token_id)
        return TopLogprobEntry(token=data.decode("utf-8", "replace"), logprob=_finite(token.logprob), bytes=list(data))

    @staticmethod
    def join(pieces: Iterable[ChatLogprobs]) -> ChatLogprobs:
        return ChatLogprobs(content=[entry for piece in pieces for entry in piece.content], refusal=None)


class CompletionLogprobsWriter(LogprobsWriter[CompletionLogprobs]):
    """The token itself is listed among the likeliest ones, so there are up to `top` + 1 entries, as at OpenAI."""

    def write(
        self, token_ids: Sequence[int], positions: Sequence[PositionLogprobs | None], offsets: Sequence[int]
    ) -> CompletionLogprobs:
        return CompletionLogprobs(
            text_offset=list(offsets),
            token_logprobs=[_finite(position.chosen.logprob) if position else None for position in positions],
            tokens=[self._text(token_id) for token_id in token_ids],
            top_logprobs=[self._likeliest(position) if position else None for position in positions],
        )

    def _likeliest(self, position: PositionLogprobs) -> dict[str, float]:
        likeliest: dict[str, float] = {}
        for token in (*position.top[: self._top], position.chosen):
            # tokens that are parts of characters can have the same text: keep the likeliest of them
            likeliest.setdefault(self._text(token.token_id), _finite(token.logprob))
        return likeliest

    @staticmethod
    def join(pieces: Iterable[CompletionLogprobs]) -> CompletionLogprobs:
        joined = CompletionLogprobs(text_offset=[], token_logprobs=[], tokens=[], top_logprobs=[])
        for piece in pieces:
            joined.text_offset += piece.text_offset
            joined.token_logprobs += piece.token_logprobs
            joined.tokens += piece.tokens
            joined.top_logprobs += piece.top_logprobs
        return joined


class WrittenLogprobs:
    """The log probabilities of one choice, kept as JSON, which takes a tenth of the memory of the models."""

    __slots__ = ("_columns", "_kind")

    def __init__(self) -> None:
        self._kind: type[Logprobs] | None = None
        self._columns: list[list[str]] = []

    def add(self, logprobs: Logprobs) -> None:
        if self._kind is None:
            self._kind = type(logprobs)
            self._columns = [[] for _ in _COLUMNS[self._kind]]
        opening, *borders, closing = _frame(self._kind)
        rest = logprobs.model_dump_json().removeprefix(opening).removesuffix(closing)
        for column, border in zip_longest(self._columns, borders):
            piece, _, rest = (rest, "", "") if border is None else rest.partition(border)
            if piece:
                column.append(piece)

    def json(self) -> Iterator[bytes]:
        """The JSON in pieces. Yields nothing if there are no log probabilities."""
        if self._kind is None:
            return
        opening, *borders, closing = _frame(self._kind)
        yield opening.encode()
        for column, border in zip_longest(self._columns, borders, fillvalue=closing):
            for start in range(0, len(column), _ADDED_A_PIECE):
                piece = ",".join(column[start : start + _ADDED_A_PIECE])
                yield (piece if not start else "," + piece).encode()
            yield border.encode()


_COLUMNS: Mapping[type[Logprobs], Sequence[str]] = {
    ChatLogprobs: ("content",),
    CompletionLogprobs: ("text_offset", "token_logprobs", "tokens", "top_logprobs"),
}


def _frame(kind: type[Logprobs]) -> list[str]:
    """The JSON around and between the lists. None of it can occur inside a string."""
    first, *others = _COLUMNS[kind]
    closing = '],"refusal":null}' if kind is ChatLogprobs else "]}"
    return [f'{{"{first}":[', *(f'],"{name}":[' for name in others), closing]


def prompt_logprobs(positions: Sequence[PositionLogprobs | None], token_bytes: TokenBytes, top: int) -> PromptLogprobs:
    """vLLM's form: for each token of the prompt, the `top` likeliest ids and its own id, each with its rank."""
    return [None if position is None else _by_id(position, token_bytes, top) for position in positions]


def prompt_logprobs_json(
    positions: Sequence[PositionLogprobs | None], token_bytes: TokenBytes, top: int, *, is_first: bool
) -> bytes:
    """A piece of the list that `prompt_logprobs` makes, with a comma before it unless it is the first."""
    written = to_json(prompt_logprobs(positions, token_bytes, top))[1:-1]
    return written if is_first else b"," + written


def _by_id(position: PositionLogprobs, token_bytes: TokenBytes, top: int) -> dict[str, PromptTokenLogprob]:
    return {
        str(token.token_id): PromptTokenLogprob(
            logprob=_finite(token.logprob),
            rank=token.rank,
            decoded_token=token_bytes(token.token_id).decode("utf-8", "replace"),
        )
        for token in (position.chosen, *position.top[:top])
    }


def _finite(logprob: float) -> float:
    return max(logprob, _LEAST)
