"""One question, one answer: the answer alone goes to standard output as it is written."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from mock_server.infer.speaker import Answer, Speaker
from mock_server.infer.terminal import Terminal
from sdk import InferenceClient


def answer_once(
    client: InferenceClient,
    speaker: Speaker,
    messages: list[dict[str, str]],
    fields: Mapping[str, Any],
    terminal: Terminal,
) -> None:
    """Raises `SDKError`, and `BrokenPipeError` if nobody reads on."""
    answer = Answer(client, speaker, messages, fields)
    for piece in answer.pieces():
        if not piece.is_thought:
            terminal.answer(piece.text)
    if not answer.text.endswith("\n"):
        terminal.answer("\n")
    if answer.is_cut_off and speaker.is_chat:
        terminal.note("note: the answer ended at a limit on its length; --max_new_tokens N sets another")
