from __future__ import annotations

import json

import jsonschema
import pytest
from click import unstyle

from bench.compare.comparison import Change, Comparison, GateResult, Side
from bench.records.run_folder import to_json
from bench.report.comparison import render, render_markdown
from bench.report.schema import comparison_schema


def change(label: str = "TTFT p50", **fields: object) -> Change:
    given = {
        "quantity": "ttft_p50",
        "label": label,
        "unit": "ms",
        "higher_is_better": False,
        "before": 98.1,
        "after": 91.4,
        "change": -0.068,
        "low": -0.081,
        "high": -0.055,
        "smallest": 0.02,
        "p_value": 0.001,
        "conclusion": "better",
    }
    return Change(**(given | fields))  # type: ignore[arg-type]


UNSEEN = change("TTFT p99", change=-0.018, low=-0.07, high=0.039, smallest=0.061, conclusion="no difference shown")
VAGUE = change("E2E p99", change=0.5, low=-0.4, high=1.9, smallest=1.4, conclusion="inconclusive")
CROWDED = change("ITL p99", change=0.02, low=0.001, high=0.04, smallest=0.03, conclusion="no difference shown")
MISSING = Change(
    quantity="itl_p99",
    label="ITL p99",
    unit="ms",
    higher_is_better=False,
    reason="before: p99 needs 299 samples, there are 100",
)


def comparison(*changes: Change, model: str = "m", gates: tuple[GateResult, ...] = ()) -> Comparison:
    side = Side(runs=["a/1"], model=model, url="http://h:1/v1", started=["2026-01-02T03:04:05+00:00"])
    both = Side(runs=["b/1", "b/2"], model=model, url="http://h:1/v1", started=["2026-01-03T03:04:05+00:00"])
    return Comparison(
        tool="t",
        before=side,
        after=both,
        load="64 streams",
        threshold=0.01,
        changes=list(changes),
        gates=list(gates),
        notes=["be careful"],
    )


ALL = comparison(
    change(),
    UNSEEN,
    VAGUE,
    CROWDED,
    MISSING,
    gates=(GateResult(gate="ttft_p99>+5%", failed=True), GateResult(gate="req_s<-5%", failed=False)),
)


def test_each_row_has_both_sides_the_change_with_its_interval_and_a_conclusion() -> None:
    lines = [" ".join(line.split()) for line in unstyle(render(ALL)).split("\n")]
    assert "TTFT p50 ms 98.1 91.4 −6.8 % [−8.1, −5.5] better" in lines
    assert "TTFT p99 ms 98.1 91.4 −1.8 % [−7.0, +3.9] no difference shown (could have seen ≥ 6.1 %)" in lines
    assert "E2E p99 ms 98.1 91.4 +50.0 % [−40.0, +190.0] inconclusive (could have seen ≥ 140 %)" in lines
    assert lines[lines.index("ITL p99 ms n/a n/a n/a n/a") + 1] == (
        "not compared: before: p99 needs 299 samples, there are 100"
    )


def test_a_change_that_would_be_clear_alone_says_why_it_is_not() -> None:
    text = unstyle(render(comparison(CROWDED), width=200))
    assert "no difference shown (could have seen ≥ 3.0 %; too many figures for this one)" in text


def test_sides_gates_and_notes_are_named() -> None:
    text = unstyle(render(ALL))
    assert "before   a/1 · m on http://h:1/v1 · 2026-01-02" in text
    assert "after    2 runs, b/1 … · m on http://h:1/v1" in text
    assert "load     64 streams" in text
    assert "gate     ttft_p99>+5%: FAILED\n" in text
    assert "gate     req_s<-5%: passed\n" in text
    assert "note     be careful\n" in text


@pytest.mark.parametrize("width", [20, 40, 80, 118])
def test_no_line_is_wider_than_the_terminal_beyond_its_figures(width: int) -> None:
    for line in unstyle(render(ALL, width)).split("\n"):
        assert len(line) <= max(width, 70)


@pytest.mark.parametrize("model", ["</script><b>", "a\x1b[31mb", "a\nb"])
def test_names_from_the_server_are_shown_as_text(model: str) -> None:
    text = render(comparison(change(), model=model))
    assert "\x1b[31m" not in text.replace("\x1b[31m\x1b[1m", "")
    assert "a\nb" not in text


def test_markdown_is_a_table_whose_cells_cannot_be_left() -> None:
    text = render_markdown(comparison(change(), UNSEEN, model="a|b"))
    rows = [line for line in text.split("\n") if line.startswith("| ")]
    assert rows[2] == "| TTFT p50, ms | 98.1 | 91.4 | −6.8 % | [−8.1, −5.5] | better |"
    assert "a\\|b" in text
    assert "- be careful" in text


def test_a_comparison_matches_the_published_schema() -> None:
    schema = comparison_schema()
    jsonschema.Draft202012Validator.check_schema(schema)
    jsonschema.validate(json.loads(to_json(ALL)), schema)
