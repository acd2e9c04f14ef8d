from __future__ import annotations

import json
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from mock_server.dataset.rows import DatasetError, RowError, read_row, read_samples, write_samples
from mock_server.dataset.sample import Message, Sample

TEXT = st.text(st.characters(exclude_categories=["Cs"]), max_size=20)


@st.composite
def samples(draw: st.DrawFn) -> Sample:
    system = [Message("system", draw(TEXT))] if draw(st.booleans()) else []
    pairs = draw(st.lists(st.tuples(TEXT, TEXT), max_size=3))
    turns = [turn for query, reply in pairs for turn in (Message("user", query), Message("assistant", reply))]
    return Sample((*system, *turns, Message("user", draw(TEXT))), draw(st.none() | TEXT), "")


def test_a_row_with_a_query_is_a_conversation() -> None:
    row = {"system": "Be brief.", "history": [["Hi", "Hello"]], "query": "Who are you?", "response": "A model."}
    assert read_row(row, "f:1") == Sample(
        (
            Message("system", "Be brief."),
            Message("user", "Hi"),
            Message("assistant", "Hello"),
            Message("user", "Who are you?"),
        ),
        "A model.",
        "f:1",
    )


def test_a_row_may_have_only_a_query() -> None:
    assert read_row({"query": "Hi", "history": None}, "f:1") == Sample((Message("user", "Hi"),), None, "f:1")


def test_the_last_message_is_the_response_if_it_is_an_assistants() -> None:
    turns = [{"role": "user", "content": "Hi"}, {"role": "assistant", "content": "Hello"}]
    assert read_row({"messages": turns}, "f:1") == Sample((Message("user", "Hi"),), "Hello", "f:1")
    assert read_row({"messages": turns[:1]}, "f:1").response is None


@given(st.lists(samples(), min_size=1, max_size=4))
def test_what_is_written_is_read_again(tmp_path_factory: pytest.TempPathFactory, rows: list[Sample]) -> None:
    file = tmp_path_factory.mktemp("rows") / "rows.jsonl"
    write_samples(file, rows)
    assert [(sample.messages, sample.response) for sample in read_samples(file)] == [
        (sample.messages, sample.response) for sample in rows
    ]


@pytest.mark.parametrize(
    ("row", "says"),
    [
        ([], "a list; each line must be an object"),
        (5, "must be an object (got 5)"),
        ({}, "has neither query nor messages"),
        ({"response": "x"}, "has neither query nor messages"),
        ({"query": 5}, "query must be a string (got 5)"),
        ({"query": None}, "query must be a string (got None)"),
        ({"query": "x", "response": ["y"]}, "response must be a string"),
        ({"query": "x", "reponse": "y"}, "'reponse' is not known. Did you mean response?"),
        ({"query": "x", "history": "y"}, "history must be a list of [query, response] pairs"),
        ({"query": "x", "history": [["y"]]}, "history[0] must be [query, response], both strings (got ['y'])"),
        ({"query": "x", "images": ["cat.png"]}, "images cannot be used"),
        ({"messages": [{"role": "user", "content": "x"}], "system": "y"}, "system cannot stand beside messages"),
        ({"messages": []}, "messages must be a list with at least one message"),
        ({"messages": ["x"]}, "messages[0] must be an object with role and content (got 'x')"),
        ({"messages": [{"role": "bot", "content": "x"}]}, "messages[0].role must be one of system, user, assistant"),
        ({"messages": [{"role": "user", "content": None}]}, "messages[0].content must be a string (got None)"),
        ({"messages": [{"role": "system", "content": "x"}]}, "no message of the user before the answer"),
        ({"messages": [{"role": "user", "content": "x"}] * 2}, "must take turns"),
        ({"messages": [{"role": "assistant", "content": "x"}]}, "no message of the user before the answer"),
    ],
)
def test_a_broken_row_says_what_is_wrong(row: object, says: str) -> None:
    with pytest.raises(RowError) as raised:
        read_row(row, "f:1")
    assert says in str(raised.value)


@pytest.mark.parametrize(
    ("line", "says"),
    [
        (b'{"query": "x"', "not JSON: Expecting ',' delimiter at character 14"),
        (b'{"query": "\xff"}', "byte 12 is not UTF-8"),
        (b"[" * 100_000, "nested too deeply"),
        (b'{"qeury": "x"}', "'qeury' is not known. Did you mean query?"),
    ],
)
def test_a_broken_line_is_named_with_its_file_and_number(tmp_path: Path, line: bytes, says: str) -> None:
    file = tmp_path / "rows.jsonl"
    file.write_bytes(b'{"query": "fine"}\n\n' + line + b"\n")
    with pytest.raises(DatasetError) as raised:
        read_samples(file)
    assert str(raised.value).startswith(f"{file}, line 3: ")
    assert says in str(raised.value)


def test_empty_lines_and_a_byte_order_mark_are_skipped(tmp_path: Path) -> None:
    file = tmp_path / "rows.jsonl"
    file.write_text("\ufeff" + json.dumps({"query": "西湖在哪里？"}, ensure_ascii=False) + "\n\n", encoding="utf-8")
    assert [(row.messages[0].content, row.origin) for row in read_samples(file)] == [("西湖在哪里？", f"{file}:1")]


def test_a_file_without_rows_or_that_cannot_be_read_is_refused(tmp_path: Path) -> None:
    (tmp_path / "empty.jsonl").write_text("\n")
    with pytest.raises(DatasetError, match="has no rows"):
        read_samples(tmp_path / "empty.jsonl")
    with pytest.raises(DatasetError, match="cannot be read: No such file"):
        read_samples(tmp_path / "none.jsonl")
