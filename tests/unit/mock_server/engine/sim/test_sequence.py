from __future__ import annotations

from itertools import count

import pytest

from mock_server.engine.base import FinishReason, GenerationParams
from mock_server.engine.sim.sequence import Sequence

EOS = 3


def run(params: GenerationParams) -> tuple[int, FinishReason]:
    """How many tokens the sequence 1, 2, 3 … generates, and why it ends."""
    sequence = Sequence(1, params, count(1), eos_token_id=EOS)
    while True:
        token_id, finish_reason = sequence.sample()
        if finish_reason is not None:
            assert token_id == sequence.num_output_tokens
            return sequence.num_output_tokens, finish_reason


@pytest.mark.parametrize(
    ("params", "ends"),
    [
        (GenerationParams(max_tokens=2), (2, "length")),
        (GenerationParams(max_tokens=3), (3, "stop")),
        (GenerationParams(max_tokens=9), (3, "stop")),
        (GenerationParams(max_tokens=9, ignore_eos=True), (9, "length")),
        (GenerationParams(max_tokens=9, ignore_eos=True, stop_token_ids=frozenset({5})), (5, "stop")),
        (GenerationParams(max_tokens=9, stop_token_ids=frozenset({2})), (2, "stop")),
        (GenerationParams(max_tokens=9, stop_token_ids=frozenset({2}), min_tokens=2), (3, "stop")),
        (GenerationParams(max_tokens=9, min_tokens=3), (9, "length")),
    ],
)
def test_where_and_why_a_sequence_ends(params: GenerationParams, ends: tuple[int, FinishReason]) -> None:
    assert run(params) == ends
