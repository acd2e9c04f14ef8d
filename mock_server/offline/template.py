"""From the turns of a conversation to a prompt's token ids, for one tokenizer."""

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
"""The tokenizer's own chat template, for models of no known type."""


class Template:
    """`source` says which template it is: "tokenizer", or the type. Safe to use in several threads."""

    def __init__(
        self, template_type: str, tokenizer: Any, chat_template: str | None, *, source: str, default_system: str | None
    ) -> None:
        """`chat_template` is Jinja, None for plain completion."""
        self.template_type = template_type
        self.source = source
        self.default_system = default_system
        self.tokenizer = tokenizer
        self._chat_template = chat_template
        self._lock = threading.Lock()  # a tokenizer is not safe in several threads

    def encode(self, turns: Sequence[ChatTurn], *, continue_final: bool = False) -> list[int]:
        """The prompt; with `continue_final` the last turn stays open. Raises `RequestRefusedError`."""
        with self._lock:
            if self._chat_template is None:
                return list(self.tokenizer.encode(_only_query(turns)))
            options = ChatOptions(add_generation_prompt=not continue_final, continue_final=continue_final)
            return render_prompt(self.tokenizer, self._chat_template, turns, options)

    def decode(self, token_ids: Sequence[int]) -> str:
        """The text, special tokens written out."""
        with self._lock:
            return str(self.tokenizer.decode(list(token_ids), skip_special_tokens=False))

    def __repr__(self) -> str:
        return f"<Template {self.template_type} by {self.source}>"


def _only_query(turns: Sequence[ChatTurn]) -> str:
    if len(turns) != 1 or turns[0].role != "user":
        raise RequestRefusedError(
            f"the template {GENERATION} completes a text: it takes a query alone, no system and no history", "history"
        )
    return turns[0].content


def get_template(
    template_type: str, tokenizer: Any, default_system: str | None = None, *, prefer_type: bool = False
) -> Template:
    """The template for a model. The tokenizer's own is used where it has one, as the server does; the type's is for
    tokenizers that bring none, and with `prefer_type` (the server's --template-type) for all.

    `default_system` opens each conversation that names no system. Raises `ValueError`.
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
            f"the tokenizer has no chat template of its own: name one of {', '.join(TEMPLATES)}, or {GENERATION} for"
            " plain completion"
        )
    return Template(template_type, tokenizer, chosen, source=source, default_system=default_system)
