"""Turns a conversation into a prompt's token ids, for one tokenizer."""

from __future__ import annotations

import threading
from collections.abc import Sequence
from typing import Any

from mock_server.engine.base import ChatOptions, ChatTurn
from mock_server.engine.errors import RequestRefusedError
from mock_server.engine.hf.text import render_prompt
from mock_server.models.templates import TEMPLATES
from streamgauge.nearest import did_you_mean

GENERATION = "default-generation"
"""For base models: the query is the prompt."""
OWN = "tokenizer"
"""The tokenizer's own chat template, for models of unknown type."""


class Template:
    """`source` is the origin of the template: "tokenizer", or the type. Several threads may use it."""

    def __init__(
        self, template_type: str, tokenizer: Any, chat_template: str | None, *, source: str, default_system: str | None
    ) -> None:
        """`chat_template` is in Jinja; None for plain completion."""
        self.template_type = template_type
        self.source = source
        self.default_system = default_system
        self.tokenizer = tokenizer
        self._chat_template = chat_template
        self._lock = threading.Lock()  # tokenizers are not thread-safe

    def encode(self, turns: Sequence[ChatTurn], *, continue_final: bool = False) -> list[int]:
        """Encodes the prompt. `continue_final` leaves the last turn open. Raises `RequestRefusedError`."""
        with self._lock:
            if self._chat_template is None:
                return list(self.tokenizer.encode(_only_query(turns)))
            options = ChatOptions(add_generation_prompt=not continue_final, continue_final=continue_final)
            return render_prompt(self.tokenizer, self._chat_template, turns, options)

    def decode(self, token_ids: Sequence[int]) -> str:
        """The text, including special tokens."""
        with self._lock:
            return str(self.tokenizer.decode(list(token_ids), skip_special_tokens=False))

    def __repr__(self) -> str:
        return f"<Template {self.template_type} by {self.source}>"


def _only_query(turns: Sequence[ChatTurn]) -> str:
    if len(turns) != 1 or turns[0].role != "user":
        raise RequestRefusedError(
            f"the template {GENERATION} completes a text: it takes only a query, without system and history", "history"
        )
    return turns[0].content


def get_template(
    template_type: str, tokenizer: Any, default_system: str | None = None, *, prefer_type: bool = False
) -> Template:
    """The template for a model: the tokenizer's own if it has one, as in the server, else the type's. With
    `prefer_type` (the server's --template-type), it is always the type's.

    `default_system` is the system of conversations without one. Raises `ValueError`.
    """
    known = [*TEMPLATES, GENERATION, OWN]
    if template_type not in known:
        raise ValueError(
            f"template_type {template_type!r} is not known; there are: {', '.join(known)}."
            f"{did_you_mean(template_type, known)}"
        )
    own: str | None = getattr(tokenizer, "chat_template", None)
    if template_type == GENERATION:
        chosen, source = None, GENERATION
    elif own and not (prefer_type and template_type in TEMPLATES):
        chosen, source = own, OWN
    elif template_type in TEMPLATES:
        chosen, source = TEMPLATES[template_type], template_type
    else:
        raise ValueError(
            f"the tokenizer has no chat template: name one of {', '.join(TEMPLATES)}, or {GENERATION} for"
            " plain completion"
        )
    return Template(template_type, tokenizer, chosen, source=source, default_system=default_system)
