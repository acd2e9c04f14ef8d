"""A conversation as the page keeps it: its turns, what the model is sent of them, and its form in JSON. Pure."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import asdict, dataclass, fields, replace
from typing import Any, Literal, Self, get_args

_TITLE_LENGTH = 48

Ending = Literal["", "stop", "length", "stopped", "failed"]
"""How an answer ended: not yet, or with its page; by itself; at the limit of tokens; by the user; by an error."""


@dataclass(frozen=True, slots=True)
class Figures:
    """What was measured while an answer arrived. Times are in seconds, from the moment the request was sent."""

    ttft_s: float | None = None
    """When the first text arrived; None before that."""
    last_s: float | None = None
    """When the last text arrived."""
    tokens: int = 0
    is_counted: bool = False
    """Whether the server counted the tokens. Otherwise each event with text counts as one."""

    @property
    def tokens_per_s(self) -> float | None:
        """Tokens after the first one, by the time after the first one; None if there is no such time."""
        if self.ttft_s is None or self.last_s is None or self.tokens < 2 or self.last_s <= self.ttft_s:
            return None
        return (self.tokens - 1) / (self.last_s - self.ttft_s)


@dataclass(frozen=True, slots=True)
class Turn:
    """A question and its answer, as far as it has arrived."""

    question: str
    answer: str = ""
    thoughts: str = ""
    model: str = ""
    ending: Ending = ""
    error: str = ""
    figures: Figures = Figures()

    @property
    def is_empty(self) -> bool:
        return not self.answer and not self.thoughts


@dataclass(frozen=True, slots=True)
class Conversation:
    """Turns in order, and the system prompt they are under. `id` is the browser's."""

    id: str
    turns: tuple[Turn, ...] = ()
    system: str = ""

    @property
    def title(self) -> str:
        """The first line of the first question, shortened."""
        lines = self.turns[0].question.strip().splitlines() if self.turns else []
        line = " ".join(lines[0].split()) if lines else ""
        return line if len(line) <= _TITLE_LENGTH else f"{line[: _TITLE_LENGTH - 1].rstrip()}…"

    def under(self, system: str) -> Self:
        """The conversation with another system prompt."""
        return replace(self, system=system)

    def asked(self, question: str) -> Self:
        return replace(self, turns=(*self.turns, Turn(question)))

    def asked_again(self, number: int, question: str | None = None) -> Self:
        """The conversation up to the turn, with its question (or another one) not yet answered."""
        again = Turn(self.turns[number].question if question is None else question)
        return replace(self, turns=(*self.turns[:number], again))

    def answered(self, turn: Turn) -> Self:
        """The conversation with this as its last turn."""
        return replace(self, turns=(*self.turns[:-1], turn))

    def messages(self) -> list[dict[str, str]]:
        """What a chat model is sent for the last question. Questions without any answer are left out before it."""
        sent = [("system", self.system)] if self.system.strip() else []
        for turn in self.turns[:-1]:
            if turn.answer:
                sent += [("user", turn.question), ("assistant", turn.answer)]
        sent.append(("user", self.turns[-1].question))
        return [{"role": role, "content": content} for role, content in sent]

    def dump(self) -> dict[str, Any]:
        """The form in JSON, with the title for the list of conversations."""
        return {**asdict(self), "title": self.title}


def load_conversation(value: object) -> Conversation | None:
    """A conversation from its form in JSON; None if it is not one. Fields that do not fit have their defaults."""
    if not isinstance(value, Mapping) or not isinstance(value.get("id"), str):
        return None
    listed = value.get("turns")
    turns = [_turn(each) for each in listed] if isinstance(listed, list | tuple) else []
    return Conversation(value["id"], tuple(turn for turn in turns if turn is not None), _text(value.get("system")))


def _turn(value: object) -> Turn | None:
    if not isinstance(value, Mapping) or not isinstance(value.get("question"), str):
        return None
    texts = {name: _text(value.get(name)) for name in ("question", "answer", "thoughts", "model", "error")}
    ending: Ending = next((known for known in get_args(Ending) if known == value.get("ending")), "")
    return Turn(**texts, ending=ending, figures=_figures(value.get("figures")))


def _figures(value: object) -> Figures:
    if not isinstance(value, Mapping):
        return Figures()
    kinds = {"ttft_s": (int, float), "last_s": (int, float), "tokens": (int,), "is_counted": (bool,)}
    names = [field.name for field in fields(Figures) if isinstance(value.get(field.name), kinds[field.name])]
    return Figures(**{name: value[name] for name in names})


def _text(value: object) -> str:
    return value if isinstance(value, str) else ""
