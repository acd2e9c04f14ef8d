from __future__ import annotations

from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from mock_server.dataset.rows import DatasetError, write_samples
from mock_server.dataset.sample import Message, Sample
from mock_server.dataset.saved import find_saved, save_dataset
from mock_server.dataset.self_cognition import Identity, read_identity, self_cognition
from mock_server.dataset.source import DatasetSource, load_samples, parse_source

XIAO_HUANG = Identity(("小黄", "Xiao Huang"), ("魔搭", "ModelScope"))


def sample(text: str) -> Sample:
    return Sample((Message("user", text),), f"re {text}", "")


def load(*names: str, seed: int = 0, identity: Identity | None = XIAO_HUANG) -> list[Sample]:
    return load_samples([parse_source(name) for name in names], seed=seed, identity=identity)


@pytest.fixture
def four_rows(tmp_path: Path) -> str:
    write_samples(tmp_path / "rows.jsonl", [sample(text) for text in "abcd"])
    return str(tmp_path / "rows.jsonl")


def queries(samples: list[Sample]) -> str:
    return "".join(row.messages[-1].content for row in samples)


@given(st.integers(1, 13))
def test_a_count_is_how_many_rows_there_are(four_rows_of_all: str, count: int) -> None:
    rows = queries(load(f"{four_rows_of_all}#{count}"))
    assert len(rows) == count
    assert {rows.count(letter) for letter in "abcd"} <= {count // 4, count // 4 + 1}
    assert rows[:4] == "abcd"[: len(rows)] or count < 4


@pytest.fixture(scope="module")
def four_rows_of_all(tmp_path_factory: pytest.TempPathFactory) -> str:
    file = tmp_path_factory.mktemp("rows") / "rows.jsonl"
    write_samples(file, [sample(text) for text in "abcd"])
    return str(file)


def test_the_seed_decides_which_rows_are_drawn(four_rows: str) -> None:
    drawn = {queries(load(f"{four_rows}#2", seed=seed)) for seed in range(20)}
    assert len(drawn) > 1
    assert queries(load(f"{four_rows}#2", seed=3)) == queries(load(f"{four_rows}#2", seed=3))


def test_several_sources_follow_each_other(four_rows: str) -> None:
    rows = load("self-cognition#3", four_rows)
    assert [row.origin for row in rows[:3]] != [row.origin for row in rows[3:]]
    assert queries(rows[3:]) == "abcd"


def test_a_file_whose_name_has_the_mark_is_taken_whole(tmp_path: Path) -> None:
    write_samples(tmp_path / "a#1", [sample("x"), sample("y")])
    assert parse_source(str(tmp_path / "a#1")) == DatasetSource(str(tmp_path / "a#1"))


@pytest.mark.parametrize(
    ("name", "says"),
    [
        ("sharegpt-gpt4:default", "neither a file here nor built in (self-cognition). Datasets of a hub are not"),
        ("AI-ModelScope/alpaca-gpt4-data-zh", "neither a file here nor built in"),
        ("./none", "--dataset ./none: there is no such file"),
        ("self-cognitoin", "Did you mean self-cognition?"),
        ("none.jsonl", "--dataset none.jsonl: there is no such file"),
        (".", "is a folder"),
        ("a#0", "must be 1 or more (got '0')"),
        ("a#ten", "must be 1 or more (got 'ten')"),
        ("#5", "names no dataset"),
    ],
)
def test_a_dataset_that_cannot_be_had_is_refused_with_the_remedy(name: str, says: str) -> None:
    with pytest.raises(DatasetError) as raised:
        load(name)
    assert says in str(raised.value)


def test_self_cognition_needs_a_name_and_an_author() -> None:
    with pytest.raises(DatasetError, match="made from --model-name and --model-author: give both"):
        load("self-cognition", identity=read_identity([], []))
    with pytest.raises(DatasetError, match="--model-author must be one text"):
        read_identity(["小黄"], [])
    with pytest.raises(DatasetError, match=r"--model-name must be one text .* \(got 3\)"):
        read_identity(["a", "b", "c"], ["d"])


def test_one_value_is_for_both_languages() -> None:
    assert read_identity(["Huang"], ["魔搭", "ModelScope"]) == Identity(("Huang", "Huang"), ("魔搭", "ModelScope"))


def test_self_cognition_says_the_name_in_both_languages() -> None:
    rows = self_cognition(XIAO_HUANG)
    chinese = [row for row in rows if "小黄" in str(row.response)]
    english = [row for row in rows if "Xiao Huang" in str(row.response)]
    assert len(chinese) + len(english) == len(rows) >= 100
    assert abs(len(chinese) - len(english)) <= 2
    assert all("魔搭" in str(row.response) for row in chinese)
    assert all("ModelScope" in str(row.response) for row in english)
    assert all(any(character >= "\u4e00" for character in row.messages[0].content) for row in chinese)
    assert len({(row.messages, row.response) for row in rows}) == len(rows)


@pytest.mark.parametrize("place", ["run", "run/checkpoint-5"])
def test_a_saved_dataset_is_found_from_the_checkpoint(tmp_path: Path, place: str) -> None:
    (tmp_path / "run" / "checkpoint-5").mkdir(parents=True)
    save_dataset(tmp_path / "run", [sample("a"), sample("b")], [sample("c")])
    saved = find_saved(tmp_path / place)
    assert saved.val is not None
    assert [queries(load(str(saved.train))), queries(load(str(saved.val)))] == ["ab", "c"]


def test_nothing_held_back_is_no_file(tmp_path: Path) -> None:
    save_dataset(tmp_path, [sample("a")], [])
    assert find_saved(tmp_path).val is None


def test_a_checkpoint_without_a_saved_dataset_is_told_with_the_remedy(tmp_path: Path) -> None:
    with pytest.raises(
        DatasetError, match=r"has a dataset_config.json, which sft writes: name the data with --dataset"
    ):
        find_saved(tmp_path / "checkpoint-5")
    (tmp_path / "dataset_config.json").write_text('{"train": 5}')
    with pytest.raises(DatasetError, match="must have train and val"):
        find_saved(tmp_path)
