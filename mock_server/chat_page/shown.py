"""What the page shows of a conversation: messages in order, each with the turn that it belongs to. Pure."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from html import escape
from typing import Literal

from mock_server.chat_page.conversation import Conversation, Turn
from mock_server.chat_page.texts import Words

Kind = Literal["question", "thoughts", "answer", "waiting", "error", "figures"]


@dataclass(frozen=True, slots=True)
class Shown:
    """A message of the page. `text` is Markdown for questions, thoughts and answers, and plain text for the others."""

    kind: Kind
    text: str
    turn: int

    @property
    def is_html(self) -> bool:
        return self.kind in ("waiting", "error", "figures")

    @property
    def html(self) -> str:
        """The form of messages that are not Markdown."""
        return f'<span class="chat-{self.kind}">{escape(self.text)}</span>'


def shown(conversation: Conversation, words: Words, *, is_arriving: bool = False) -> list[Shown]:
    """The messages of a conversation. `is_arriving`: the last answer is under way."""
    last = len(conversation.turns) - 1
    return [
        message
        for number, turn in enumerate(conversation.turns)
        for message in _of_turn(turn, number, words, is_arriving and number == last)
    ]


def turn_of(messages: list[Shown], index: int) -> int | None:
    """The turn of the message at an index; None if there is no such message."""
    return messages[index].turn if 0 <= index < len(messages) else None


def _of_turn(turn: Turn, number: int, words: Words, is_arriving: bool) -> Iterator[Shown]:
    yield Shown("question", turn.question, number)
    if turn.thoughts:
        yield Shown("thoughts", turn.thoughts, number)
    if turn.answer:
        yield Shown("answer", turn.answer, number)
    if is_arriving:
        if not turn.answer:
            yield Shown("waiting", "", number)
        return
    if turn.ending == "failed":
        yield Shown("error", f"{words.failed} {turn.error}", number)
    elif turn.is_empty and turn.ending in ("stop", "length"):
        yield Shown("error", words.no_text, number)
    if line := figures_line(turn, words):
        yield Shown("figures", line, number)


def figures_line(turn: Turn, words: Words) -> str:
    """The line under an answer: model, tokens, tokens per second, time to the first token, and an unusual ending."""
    figures = turn.figures
    endings = {"": words.interrupted, "stopped": words.stopped, "length": words.cut_off}
    rate = figures.tokens_per_s
    parts = [
        turn.model,
        "" if not figures.tokens else _tokens(figures.tokens, figures.is_counted, words),
        "" if rate is None else words.tokens_per_s.format(rate=_short(rate)),
        "" if figures.ttft_s is None else words.ttft.format(time=_time(figures.ttft_s)),
        endings.get(turn.ending, ""),
    ]
    return " · ".join(part for part in parts if part)


def _tokens(count: int, is_counted: bool, words: Words) -> str:
    text = words.one if count == 1 else words.tokens.format(count=f"{count:,}")
    return text if is_counted else f"≈ {text}"


def _time(seconds: float) -> str:
    return f"{seconds * 1000:.0f} ms" if seconds < 0.9995 else f"{_short(seconds)} s"


def _short(number: float) -> str:
    """Three digits, or all those before the point."""
    if number >= 99.95:
        return f"{number:,.0f}"
    return f"{number:.1f}" if number >= 9.995 else f"{number:.2f}"
