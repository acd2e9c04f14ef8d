"""One row of a dataset: a conversation, and what the model should say next."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal, NamedTuple

Role = Literal["system", "user", "assistant"]


class Message(NamedTuple):
    role: Role
    content: str


@dataclass(frozen=True, slots=True)
class Sample:
    """`messages` is the prompt: a system message or none, then turns of user and assistant, the user's last.

    `response` is None for a row that has only a question. `origin` is `FILE:LINE`, or `NAME:NUMBER` for a dataset
    that is made.
    """

    messages: tuple[Message, ...]
    response: str | None
    origin: str
