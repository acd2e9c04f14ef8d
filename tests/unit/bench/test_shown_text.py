"""Whatever a text holds, what is shown of it is one printable line. Markdown, CSV, JSON and file names differ."""

from __future__ import annotations

import json
import re

import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from bench.report.markdown import _code, cell
from bench.report.spreadsheet import _fit
from bench.shown_text import escaped_json, file_name_part, shown

TEXTS = st.text(st.characters(codec=None), max_size=60)


@given(TEXTS)
@example("\x1b[2J\x1b]0;title\x07\x9b31m\x7f\r\n\u2028\u202e\u200b\ud800\U000e0041")
def test_nothing_that_a_terminal_obeys_is_left(text: str) -> None:
    line = shown(text)
    assert line.isprintable()
    assert shown(line) == line
    line.encode()


@given(st.text("aä潮= :/.", max_size=60))
def test_text_that_is_fit_stays_as_it_is(text: str) -> None:
    assert shown(text) == text


@pytest.mark.parametrize(
    ("text", "line"),
    [
        ("a\nb", r"a\nb"),
        ("\x1b[31m", r"\x1b[31m"),
        ("\u202eabc", r"\u202eabc"),
        ("a\u3164b", r"a\u3164b"),
        ("a\u3000b\xa0c", "a b c"),
        ("a\u034fb\ufe00\U000e0101", r"a\u034fb\ufe00\U000e0101"),
        ("e" + "\u0301" * 6, "e" + "\u0301" * 4 + r"\u0301\u0301"),
        ("ที่นี้ नमस्ते ä", "ที่นี้ नमस्ते ä"),
        ("潮汐 ✔ 🌊", "潮汐 ✔ 🌊"),
        ("⚠\ufe0f", "⚠\ufe0f"),  # as emoji are written
    ],
)
def test_what_cannot_be_seen_is_shown_as_an_escape(text: str, line: str) -> None:
    assert shown(text) == line


@given(TEXTS, st.integers(1, 20))
def test_a_line_is_as_long_as_it_may_be_at_most(text: str, most: int) -> None:
    assert len(shown(text, most)) <= most


@given(st.text(max_size=40))
def test_json_means_the_same_and_is_printable(text: str) -> None:
    written = escaped_json(json.dumps({"a": text}, ensure_ascii=False))
    assert json.loads(written) == {"a": text}
    assert written.isprintable()


@given(TEXTS)
@example("../../etc/passwd")
@example("a\0b")
@example("..")
@example("C:\\x")
@example("潮" * 300)
def test_a_part_of_a_file_name_is_one(text: str) -> None:
    name = file_name_part(text)
    assert re.fullmatch(r"[^/\\\0:*?\"<>|\n]+", name)
    assert not name.startswith(".")
    assert len(name.encode()) <= 100


@given(TEXTS)
@example("[a](javascript:alert(1)) <img src=x> | `b` # @everyone ~~c~~ &lt; https://x www.y")
def test_markdown_has_no_markup_of_others(text: str) -> None:
    found = cell(text)
    assert found.isprintable()
    bare = re.sub(r"\\.", "", found)
    assert not set(bare) & set("`*_<>|[]#!~&")
    assert "://" not in found
    assert not re.search(r"(?<!\w)@\w", found)


@given(st.text("`a ", min_size=1, max_size=20))
def test_code_in_markdown_ends_where_it_ends(text: str) -> None:
    code = _code(text)
    fence = re.match("`+", code)
    assert fence is not None
    assert code.endswith(fence[0])
    inside = code[len(fence[0]) : -len(fence[0])]
    assert fence[0] not in inside
    assert inside.strip() == text.strip()


@pytest.mark.parametrize("cell", ["=1+1", "+1", "-1", "@SUM(A1)", "\t=1", "\r=1"])
def test_a_cell_is_no_formula(cell: str) -> None:
    assert _fit(cell) == f"'{cell}"


@pytest.mark.parametrize("cell", [-1.5, 0, 3, None, "p99", "ttft", "1/s"])
def test_other_cells_stay_what_they_are(cell: object) -> None:
    assert _fit(cell) is cell
