"""The result in other formats: vLLM's keys and text, Markdown, CSV, and the published schema."""

from __future__ import annotations

import csv
import io
import json
from typing import Any

import jsonschema
import numpy as np
import pytest

from bench.outcome import Outcome
from bench.records.run_folder import to_json
from bench.report.markdown import render_markdown
from bench.report.schema import SCHEMAS, result_schema, schema_file
from bench.report.spreadsheet import render_csv
from bench.report.vllm import DETAILS, default_filename, vllm_result, vllm_text, without_details
from bench.summary import summarize
from tests.support.serving import ROOT
from tests.unit.bench.rows import Row, columns, moments, row
from tests.unit.bench.runs import run
from tests.unit.bench.test_summary import result_of

ROWS = [
    row(1, 10, [60, 80, 100], tokens=[2, 1, 1]),
    row(0, 0, [50, 70]),
    row(2, 20, [90], outcome=Outcome.TRUNCATED, error="cut | short"),
    row(3, 500, [1540, 1560, 1600]),
]


def as_vllm(*rows: Row, **fields: Any) -> dict[str, Any]:
    return vllm_result(run(stopped=1000, **fields), columns(*rows), moments(*rows))


def test_vllms_keys_by_vllms_definitions() -> None:
    found = as_vllm(*ROWS)
    assert (found["completed"], found["failed"]) == (3, 1)
    assert found["duration"] == pytest.approx(1.6)
    assert (found["total_input_tokens"], found["total_output_tokens"]) == (30, 4 + 2 + 3)
    assert found["output_throughput"] == pytest.approx(9 / 1.6)
    assert found["request_throughput"] == pytest.approx(3 / 1.6)
    assert found["total_token_throughput"] == pytest.approx(39 / 1.6)
    assert found["mean_ttft_ms"] == pytest.approx(np.mean([50, 50, 1040]))
    assert found["p99_ttft_ms"] == pytest.approx(np.percentile([50, 50, 1040], 99))  # three are enough there
    assert found["median_itl_ms"] == pytest.approx(20)  # gaps of chunks, however many tokens
    assert found["std_itl_ms"] == pytest.approx(np.std([20, 20, 20, 20, 40]))
    assert found["mean_tpot_ms"] == pytest.approx(np.mean([40 / 3, 20, 60 / 2]))
    assert found["p50_e2el_ms"] == pytest.approx(90)
    assert found["max_output_tokens_per_s"] == 5  # chunks of the first second
    assert found["max_concurrent_requests"] == 3
    assert found["request_goodput"] is None


def test_details_are_in_the_order_of_the_requests() -> None:
    found = as_vllm(*ROWS)
    assert found["output_lens"] == [2, 4, 0, 3]
    assert found["ttfts"] == pytest.approx([0.05, 0.05, 0.07, 1.04])
    assert [len(gaps) for gaps in found["itls"]] == [1, 2, 0, 2]
    assert found["itls"][3] == pytest.approx([0.02, 0.04])
    assert found["errors"] == ["", "", "cut | short", ""]
    assert found["latencies"][1] == pytest.approx(0.09)
    assert set(found) - set(without_details(found)) == set(DETAILS)


def test_goodput_as_vllm_counts_it() -> None:
    facts = run(stopped=1000)
    facts.view.goodput = {"ttft": 100.0, "tpot": 15.0}
    found = vllm_result(facts, columns(*ROWS), moments(*ROWS))
    assert found["request_goodput"] == pytest.approx(1 / 1.6)
    assert "Request goodput (req/s):                 0.62      " in vllm_text(found).splitlines()


def test_a_run_without_a_success_has_zeros_as_in_vllm() -> None:
    found = as_vllm(row(0, 0, [], outcome=Outcome.CONNECT, error="refused"))
    assert (found["completed"], found["failed"], found["mean_ttft_ms"], found["p99_itl_ms"]) == (0, 1, 0, 0)


def test_vllms_text_and_file_name() -> None:
    found = as_vllm(*ROWS, load={"plan": "open", "rate": 4.0, "streams": 8})
    lines = vllm_text(found).splitlines()
    assert lines[0] == "============ Serving Benchmark Result ============"
    assert "Successful requests:                     3         " in lines
    assert "Maximum request concurrency:             8         " in lines
    assert "Request rate configured (RPS):           4.00      " in lines
    assert "Mean TTFT (ms):                          380.00    " in lines
    assert "---------------Inter-token Latency----------------" in lines
    assert lines[-1] == "=" * 50
    assert default_filename(found, "openai-chat") == "openai-chat-4.0qps-concurrency8-m-20260102-030405.json"
    json.dumps(without_details(found), allow_nan=False)


def test_text_from_the_server_does_not_break_the_markdown_tables() -> None:
    text = render_markdown(result_of(run(stopped=1000), *ROWS), run().view)
    assert "| ok | 3 |" in text
    assert "cut \\| short" in text
    tables = [line for line in text.splitlines() if line.startswith("|")]
    latencies = [line for line in tables if line.startswith(("| ms", "| TTFT", "| E2E"))]
    assert len({line.replace("\\|", "").count("|") for line in latencies}) == 1
    assert "python -m bench --seed 7" in text


def test_markdown_has_the_goodput_with_its_limits_and_the_interval_of_p99() -> None:
    facts, rows = run(stopped=40_000), [row(n, n * 100, [n * 100 + 50 + n / 10]) for n in range(400)]
    facts.view.goodput = {"ttft": 65.0}
    result = result_of(facts, *rows)
    text = render_markdown(result, facts.view)
    assert result.headline.goodput is not None
    assert f"| goodput: TTFT ≤ 65 ms | {result.headline.goodput.requests_per_s:.2f} req/s (" in text
    p99 = result.headline.latency["ttft"].percentiles["99"]
    assert p99.low is not None
    assert p99.high is not None
    assert f"| {p99.value:.1f} [{p99.low:.1f}, {p99.high:.1f}] |" in text


def test_csv_has_a_row_per_figure_and_empty_cells_for_missing_values() -> None:
    result = result_of(run(stopped=1000), *ROWS)
    rows = list(csv.DictReader(io.StringIO(render_csv(result))))
    found = {(r["window"], r["figure"], r["statistic"]): r for r in rows}
    assert len(found) == len(rows)
    assert float(found["whole run", "ttft", "mean"]["value"]) == result.whole_run.latency["ttft"].mean
    assert found["whole run", "ttft", "p99"]["value"] == ""
    assert found["whole run", "ttft", "p99"]["samples"] == "3"


@pytest.mark.parametrize("name", SCHEMAS)
def test_the_published_schemas_are_those_of_what_is_written(name: str) -> None:
    """To update one: python -c "from bench.report.schema import *; print(schema_file('NAME').decode(), end='')"."""
    assert (ROOT / "docs" / "schema" / name).read_bytes() == schema_file(name)


@pytest.mark.parametrize("rows", [ROWS, ROWS[2:3], []])
def test_results_match_the_published_schema(rows: list[Row]) -> None:
    result = summarize(run(stopped=1000), columns(*rows), moments(*rows))
    schema = result_schema()
    jsonschema.Draft202012Validator.check_schema(schema)
    jsonschema.validate(json.loads(to_json(result)), schema)


def test_a_result_with_an_unknown_value_does_not_match_the_schema() -> None:
    content = json.loads(to_json(result_of(run(stopped=1000), *ROWS)))
    content["verdict"]["level"] = "fine"
    with pytest.raises(jsonschema.ValidationError):
        jsonschema.validate(content, result_schema())
