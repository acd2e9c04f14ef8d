"""Words worth one token each, found by asking a tokenizer how long things are."""

from __future__ import annotations

import asyncio
from collections.abc import Callable

from bench.workload.synthetic import WORDS, single_tokens


def find(count: Callable[[str], int]) -> tuple[tuple[list[str], int] | None, int]:
    """What was found, and how often the tokenizer was asked."""
    asked = 0

    async def count_tokens(text: str) -> int:
        nonlocal asked
        asked += 1
        return count(text)

    return asyncio.run(single_tokens(count_tokens)), asked


def test_a_tokenizer_with_all_words_is_asked_three_times() -> None:
    found, asked = find(lambda text: 11 + len(text.split()))
    assert found is not None
    assert (sorted(found[0]), found[1], asked) == (sorted(WORDS), 11, 3)


def test_words_of_several_tokens_are_left_out() -> None:
    long = {word for word in WORDS if len(word) > 5}
    found, asked = find(lambda text: 4 + sum(2 if word in long else 1 for word in text.split()))
    assert found is not None
    assert set(found[0]) == set(WORDS) - long
    assert found[1] == 4
    assert asked < len(WORDS)


def test_an_anchor_of_two_tokens_is_not_used() -> None:
    found, _ = find(lambda text: sum(2 if word == WORDS[0] else 1 for word in text.split()))
    assert found is not None
    assert WORDS[0] not in found[0]
    assert found[1] == 0


def test_a_tokenizer_of_characters_has_no_such_words() -> None:
    assert find(len)[0] is None


def test_the_words_differ() -> None:
    assert len(set(WORDS)) == len(WORDS) > 150
