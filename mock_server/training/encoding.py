"""Conversations as token ids, with labels for what the assistant says: only that is learned. Pure."""

from __future__ import annotations

from collections.abc import Collection, Sequence
from typing import NamedTuple, Protocol

from mock_server.dataset.sample import Message, Sample

IGNORED = -100
"""The label of a token that is not learned."""


class Render(Protocol):
    """A chat template with its tokenizer."""

    def __call__(self, messages: Sequence[Message], *, add_generation_prompt: bool) -> list[int]: ...


class EncodedRow(NamedTuple):
    """Both have a value for each token."""

    input_ids: list[int]
    labels: list[int]


def encode(sample: Sample, response: str, render: Render, end_ids: Collection[int], eos_id: int) -> EncodedRow:
    """All of the assistant's turns are learned, each up to and including the token that ends it.

    `end_ids` are the tokens that can end a turn. `eos_id` is added where the template ends the last turn with none.
    """
    messages = [*sample.messages, Message("assistant", response)]
    ids = render(messages, add_generation_prompt=False)
    spans = [
        _span(messages, number, ids, render) for number, message in enumerate(messages) if message.role == "assistant"
    ]
    labels = [IGNORED] * len(ids)
    start, end = 0, len(ids)
    for span in filter(None, spans):
        start, end = span
        end = _after_last(ids, start, end, end_ids)
        labels[start:end] = ids[start:end]
    ids, labels = ids[:end], labels[:end]  # what the template writes after the answer is of no use
    if not ids or ids[-1] not in end_ids:
        ids.append(eos_id)
        labels.append(eos_id)
    return EncodedRow(ids, labels)


def _span(messages: Sequence[Message], number: int, ids: Sequence[int], render: Render) -> tuple[int, int] | None:
    """Where a turn's text stands in the ids; None if the template rewrites it once others follow."""
    prompt = render(messages[:number], add_generation_prompt=True)
    start = _shared(prompt, ids)
    if number == len(messages) - 1:
        return start, len(ids)
    if start < len(prompt):
        return None
    return start, _shared(render(messages[: number + 1], add_generation_prompt=False), ids)


def _shared(first: Sequence[int], second: Sequence[int]) -> int:
    """The length of the beginning that both have."""
    pairs = zip(first, second, strict=False)
    return next((number for number, (one, other) in enumerate(pairs) if one != other), min(len(first), len(second)))


def _after_last(ids: Sequence[int], start: int, end: int, wanted: Collection[int]) -> int:
    return next((place + 1 for place in range(end - 1, start - 1, -1) if ids[place] in wanted), end)
