from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from mock_server.dataset.rows import DatasetError
from mock_server.dataset.sample import Message, Sample
from mock_server.training.split import split, with_answers


def sample(text: str, response: str | None = "yes") -> Sample:
    return Sample((Message("user", text),), response, f"{text}:1")


@given(st.lists(st.sampled_from("abcdefgh"), min_size=20, max_size=60), st.floats(0.01, 0.4), st.integers(0, 9))
def test_no_row_is_lost_and_equal_rows_stay_together(texts: list[str], ratio: float, seed: int) -> None:
    rows = [sample(text) for text in texts]
    try:
        train, val = split(rows, ratio, seed)
    except DatasetError:
        assert len(set(texts)) < 4
        return
    assert sorted(train + val, key=str) == sorted(rows, key=str)
    assert len(val) >= ratio * len(rows)
    assert not {row.messages for row in train} & {row.messages for row in val}


def test_nothing_is_held_back_at_a_ratio_of_zero() -> None:
    rows = [sample("a"), sample("b")]
    assert split(rows, 0, 1) == (rows, [])


def test_a_dataset_of_one_row_cannot_be_split() -> None:
    with pytest.raises(DatasetError, match=r"--dataset-test-ratio 0.01 leaves nothing to train on"):
        split([sample("a")] * 5, 0.01, 1)


def test_a_row_without_an_answer_is_refused_by_its_place() -> None:
    with pytest.raises(DatasetError, match="b:1 has no response"):
        with_answers([sample("a"), sample("b", None)], None)


def test_a_system_message_is_added_where_there_is_none() -> None:
    own = Sample((Message("system", "own"), Message("user", "a")), "yes", "")
    ready = with_answers([sample("a"), own], "be brief")
    assert [row.messages[0].content for row in ready] == ["be brief", "own"]
