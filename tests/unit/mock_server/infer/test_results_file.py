from __future__ import annotations

import json
import resource
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from mock_server.dataset.sample import Message, Sample
from mock_server.infer.result_row import ResultError, RowResult, question_fields, read_result
from mock_server.infer.results_file import ResultsError, ResultsFile
from mock_server.infer.summary import runtime_s, summarize, summary_text

RUN = {"model": "m", "dataset": "d", "temperature": 0.0}


def line(index: int, *, error: str | None = None, session: int = 1, at_s: float = 1.0, **fields: Any) -> dict[str, Any]:
    return {
        "index": index,
        "session": session,
        "at_s": at_s,
        "error": None if error is None else {"message": error},
        "num_prompt_tokens": 3,
        "num_generated_tokens": 5,
        "exact_match": None,
        "rouge_l": None,
        "response": "你好\u2028",
        **fields,
    }


def indices(path: Path) -> list[int]:
    return [json.loads(row)["index"] for row in path.read_text("utf-8").split("\n") if row]


def written(path: Path, *lines: dict[str, Any]) -> None:
    with ResultsFile(path, RUN) as results:
        for each in lines:
            results.add(each)


def test_a_run_goes_on_where_the_last_one_was(tmp_path: Path) -> None:
    path = tmp_path / "deep" / "r.jsonl"
    written(path, line(2), line(0))
    with ResultsFile(path, RUN) as results:
        assert sorted(results.results) == [0, 2]
        assert results.session == 2
        results.add(line(1, session=2))
    assert indices(path) == [2, 0, 1]


@given(cut=st.integers(min_value=1, max_value=200))
def test_a_half_written_line_is_as_if_it_had_not_begun(tmp_path_factory: pytest.TempPathFactory, cut: int) -> None:
    path = tmp_path_factory.mktemp("results") / "r.jsonl"
    written(path, line(0), line(1))
    whole = path.read_bytes()
    path.write_bytes(whole[:-cut])
    kept = whole[:-cut].count(b"\n")
    with ResultsFile(path, RUN) as results:
        assert sorted(results.results) == list(range(kept))
        for index in range(kept, 2):
            results.add(line(index))
    assert path.read_bytes() == whole


def test_rows_that_failed_are_asked_again_and_never_twice_in_the_file(tmp_path: Path) -> None:
    path = tmp_path / "r.jsonl"
    written(path, line(0), line(1, error="too long"), line(2))
    with ResultsFile(path, RUN) as results:
        assert sorted(results.results) == [0, 2]
        results.add(line(1, session=2))
    assert indices(path) == [0, 2, 1]
    assert sorted(path.parent.iterdir()) == [path, tmp_path / "r.run.json"]


def test_rows_that_failed_stay_until_the_first_new_row(tmp_path: Path) -> None:
    path = tmp_path / "r.jsonl"
    written(path, line(0, error="too long"))
    before = path.read_bytes()
    with ResultsFile(path, RUN):
        pass  # the model could not be loaded
    assert path.read_bytes() == before
    written(path, line(0))
    assert indices(path) == [0]


def test_files_that_differ_in_their_endings_are_two_runs(tmp_path: Path) -> None:
    written(tmp_path / "r.a", line(0))
    with ResultsFile(tmp_path / "r.b", {"model": "other"}):
        pass
    with ResultsFile(tmp_path / "r.a", RUN) as results:
        assert sorted(results.results) == [0]


def test_another_run_is_refused_and_the_differences_are_named(tmp_path: Path) -> None:
    path = tmp_path / "r.jsonl"
    written(path, line(0))
    with pytest.raises(ResultsError) as caught:
        ResultsFile(path, {"model": "n", "dataset": "d", "temperature": 0.0, "seed": 1})
    assert 'results of another run (model was "m" and is now "n"; seed was null and is now 1)' in str(caught.value)
    assert "--overwrite true" in str(caught.value)
    assert indices(path) == [0]


def test_results_are_replaced_when_there_are_others_and_not_before(tmp_path: Path) -> None:
    path = tmp_path / "r.jsonl"
    written(path, line(0), line(1))
    with ResultsFile(path, {"model": "n"}, overwrite=True) as results:
        assert not results.results
    written(path)  # which is still the same run
    assert indices(path) == [0, 1]
    with ResultsFile(path, {"model": "n"}, overwrite=True) as results:
        results.add(line(1))
        results.add(line(0))
    assert indices(path) == [1, 0]
    with ResultsFile(path, {"model": "n"}) as results:
        assert len(results.results) == 2


def test_a_file_of_something_else_is_left_alone(tmp_path: Path) -> None:
    path = tmp_path / "r.jsonl"
    path.write_text("notes\n")
    with pytest.raises(ResultsError, match=r"r\.run\.json beside it does not say"):
        ResultsFile(path, RUN)
    (tmp_path / "r.run.json").write_text(json.dumps({"run": RUN}))
    with pytest.raises(ResultsError, match="line 1: "):
        ResultsFile(path, RUN)
    path.write_text('{"index": 0}\n')
    with pytest.raises(ResultsError, match="line 1: is not a result"):
        ResultsFile(path, RUN)
    assert path.read_text() == '{"index": 0}\n'


def test_one_evaluation_at_a_time_writes_a_file(tmp_path: Path) -> None:
    path = tmp_path / "r.jsonl"
    written(path, line(0), line(1, error="x"))
    with ResultsFile(path, RUN), pytest.raises(ResultsError, match="being written by another evaluation"):
        ResultsFile(path, RUN)
    ResultsFile(path, RUN).close()


def test_a_full_disk_costs_the_row_and_nothing_before_it(tmp_path: Path) -> None:
    path = tmp_path / "r.jsonl"
    before = resource.getrlimit(resource.RLIMIT_FSIZE)
    with ResultsFile(path, RUN) as results:
        results.add(line(0))
        size = path.stat().st_size
        resource.setrlimit(resource.RLIMIT_FSIZE, (size + 20, before[1]))
        try:
            with pytest.raises(ResultsError, match="cannot be written to") as caught:
                results.add(line(1))
        finally:
            resource.setrlimit(resource.RLIMIT_FSIZE, before)
        assert "rows that are there are kept; make room and run the same command again" in str(caught.value)
        assert "\n" not in str(caught.value)
        assert path.stat().st_size == size
        assert sorted(results.results) == [0]
    assert indices(path) == [0]


def test_a_folder_that_cannot_be_written_is_one_line(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("")
    with pytest.raises(ResultsError, match=r"cannot be written to .*: (Not a directory|File exists); name"):
        ResultsFile(tmp_path / "file" / "r.jsonl", RUN)


@pytest.mark.parametrize("change", [{"index": True}, {"index": -1}, {"session": "1"}, {"at_s": None}])
def test_a_line_with_other_values_is_no_result(change: dict[str, Any]) -> None:
    with pytest.raises(ResultError):
        read_result(line(0) | change)


def test_a_row_names_its_question_with_what_came_before() -> None:
    said = (Message("system", "s"), Message("user", "a"), Message("assistant", "b"), Message("user", "c"))
    assert question_fields(4, Sample(said, "d", "f:9")) == {
        "index": 4,
        "origin": "f:9",
        "query": "c",
        "label": "d",
        "system": "s",
        "history": [["a", "b"]],
    }
    assert question_fields(0, Sample(said[-1:], None, "f:1")).keys() == {"index", "origin", "query", "label"}


def result(index: int, session: int, at_s: float, **fields: Any) -> RowResult:
    return RowResult(index, session, at_s, **{"is_good": True, "prompt_tokens": 2, "tokens": 19, **fields})


def test_the_six_figures_have_the_pages_arithmetic() -> None:
    """19 tokens in 0.225401 s are 84.294 tokens/s there, and two samples 8.873 samples/s."""
    rows = [result(0, 1, 0.2, tokens=10), result(1, 1, 0.225401, tokens=9)]
    assert summarize(rows) == {
        "num_prompt_tokens": 4,
        "num_generated_tokens": 19,
        "num_samples": 2,
        "runtime": 0.225,
        "samples/s": 8.873,
        "tokens/s": 84.294,
        "num_failed": 0,
        "num_labelled": 0,
        "exact_match": None,
        "rouge_l": None,
    }


def test_the_runtime_is_that_of_all_runs_until_their_last_row() -> None:
    rows = [result(0, 1, 3.0), result(1, 1, 4.0), result(2, 2, 1.5)]
    assert runtime_s(rows) == 5.5
    assert summarize([])["runtime"] == 0


def test_scores_are_of_the_rows_with_a_label_that_were_answered() -> None:
    rows = [
        result(0, 1, 1.0, exact_match=True, rouge_l=1.0),
        result(1, 1, 2.0, exact_match=False, rouge_l=0.5),
        result(2, 1, 3.0),
        result(3, 1, 4.0, is_good=False, tokens=None, prompt_tokens=None),
    ]
    found = summarize(rows)
    assert (found["exact_match"], found["rouge_l"], found["num_labelled"]) == (0.5, 0.75, 2)
    assert (found["num_samples"], found["num_failed"], found["num_generated_tokens"]) == (3, 1, 57)
    assert "exact_match           0.500" in summary_text(found)
