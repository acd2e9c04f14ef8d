"""`infer` without a terminal: one question, evaluations, and what it refuses."""

from __future__ import annotations

import json
import re
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from click.testing import CliRunner, Result

from mock_server.commands import cli
from mock_server.dataset.sample import Message, Sample
from mock_server.dataset.saved import save_dataset
from mock_server.engine.base import Adapter
from mock_server.settings import ServerSettings
from tests.support.checkpoints import write_adapter, write_base
from tests.support.serving import scripted_engine, serving

NAMES = ("--model_name", "小黄", "Xiao Huang", "--model_author", "魔搭", "ModelScope")
SIM = ("--engine", "sim", "--profile", "instant")


@pytest.fixture(autouse=True)
def _elsewhere(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.delenv("OPENAI_BASE_URL", raising=False)
    monkeypatch.chdir(tmp_path)


@pytest.fixture(scope="module")
def url() -> Iterator[str]:
    settings = ServerSettings(adapters=(Adapter("my_tuner"),), api_keys=("secret",))
    with serving(scripted_engine(max_model_len=256), settings) as served:
        yield served.url


def infer(*args: str, stdin: str | bytes | None = None) -> Result:
    return CliRunner().invoke(cli, ["infer", *args], input=stdin)


def write_rows(file: Path, *rows: Any) -> str:
    file.write_text("".join(json.dumps(row, ensure_ascii=False) + "\n" for row in rows), encoding="utf-8")
    return str(file)


def read_rows(file: Path) -> list[dict[str, Any]]:
    return [json.loads(line) for line in file.read_text("utf-8").split("\n") if line]


def refused(*args: str, stdin: str | bytes | None = None, code: int = 2) -> str:
    result = infer(*args, stdin=stdin)
    assert result.exit_code == code, result.output
    assert result.stdout == ""
    lines = [line for line in result.stderr.splitlines() if line and not line.startswith(("Usage:", "Try "))]
    assert len(lines) == 1, result.stderr
    return lines[0]


def test_a_question_on_standard_input_gets_its_answer_alone() -> None:
    piped = infer(*SIM, "--seed", "1", stdin="浙江的省会在哪？\n")
    assert piped.exit_code == 0
    assert piped.stderr == ""
    assert piped.stdout.endswith("\n")
    assert not piped.stdout.endswith("\n\n")
    assert infer(*SIM, "--seed", "1", "--query", "浙江的省会在哪？").stdout == piped.stdout


def test_a_question_to_a_running_server(url: str) -> None:
    access = ("--base-url", url, "--api-key", "secret")
    assert "my_tuner" in infer(*access, "--served-model", "my_tuner", "--query", "Who are you?").stdout
    short = infer(*access, "--query", "Who are you?", "--max_new_tokens", "2")
    assert len(short.stdout.split()) == 2
    assert "limit on its length" in short.stderr
    assert "Did you mean my_tuner?" in refused(*access, "--served-model", "my-tuner", "--query", "x")
    assert "401" in refused("--base-url", url, "--query", "x", code=1)
    assert "maximum context length is 256" in refused(*access, "--query", "word " * 400, code=1)


def test_a_base_model_completes(url: str) -> None:
    result = infer(*SIM, "--no-chat", "true", "--query", "Once upon a time")
    assert result.exit_code == 0
    assert result.stdout.strip()
    assert result.stderr == ""  # completions are short by default


@pytest.mark.parametrize(
    ("args", "stdin", "told"),
    [
        ((), "", "there is no model to talk to"),
        (SIM, "", "standard input has no question"),
        (SIM, " \n", "standard input has no question"),
        (SIM, b"\xff", "standard input is not text in UTF-8 (byte 1)"),
        ((*SIM, "--querry", "x"), "", "Did you mean '--query'?"),
        ((*SIM, "--query", "x", "--dataset", "self-cognition#1", *NAMES), "", "--query is not for an evaluation"),
        ((*SIM, "--query", "x", "--result-path", "r.jsonl"), "", "--result-path is for an evaluation"),
        ((*SIM, "--query", "x", "--max_new_tokens", "0"), "", "--max-new-tokens"),
        (("--base-url", "127.0.0.1:port", "--query", "x"), "", "127.0.0.1:port"),
        (("--ckpt_dir", "gone", "--query", "x"), "", "--ckpt-dir gone: there is no such folder"),
        (("--model", "./empty", "--query", "x"), "", "--model-id-or-path ./empty: there is no such folder"),
        ((*SIM, "--load_dataset_config", "true"), "", "--load-dataset-config true needs --ckpt-dir"),
        ((*SIM, "--dataset", "gone.jsonl"), "", "--dataset gone.jsonl: there is no such file"),
        ((*SIM, "--dataset", "gone.jsonl#0"), "", "--dataset gone.jsonl#0"),
        ((*SIM, "--dataset", "sharegpt-gpt4:default"), "", "is neither a file here nor built in"),
        ((*SIM, "--dataset", "self-cognition"), "", "--model-name and --model-author"),
    ],
)  # fmt: skip
def test_what_cannot_be_done_is_one_line_with_the_remedy(args: tuple[str, ...], stdin: str | bytes, told: str) -> None:
    assert told in refused(*args, stdin=stdin)


def test_a_missing_package_is_told_with_what_to_install(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setitem(sys.modules, "rouge_score", None)  # as if it were not installed
    asked = write_rows(tmp_path / "q.jsonl", {"query": "a"})
    told = refused(*SIM, "--dataset", asked, code=1)
    assert re.fullmatch(r"Error: this needs rouge-score: pip install .*\[infer\]'", told)


def test_text_that_the_output_cannot_encode_is_escaped(url: str) -> None:
    runner = CliRunner(charset="ascii")
    result = runner.invoke(cli, ["infer", *SIM, "--query", "浙江的省会在哪？", "--max_new_tokens", "9"])
    assert result.exit_code == 0, result.output
    assert "\\u" in result.stdout


def test_folders_of_the_wrong_kind_are_told(tmp_path: Path) -> None:
    empty = tmp_path / "empty"
    empty.mkdir()
    assert "has no config.json" in refused("--ckpt_dir", str(empty), "--query", "x")
    adapter = write_adapter(tmp_path / "adapter", base=str(write_base(tmp_path / "base")))
    assert "is an adapter: name it with --ckpt-dir" in refused("--model", str(adapter), "--query", "x")


def test_nobody_answers_at_the_address() -> None:
    assert "127.0.0.1:9" in refused("--base-url", "http://127.0.0.1:9", "--query", "x", code=1)


def test_an_evaluation_writes_a_line_a_row_and_the_figures(tmp_path: Path) -> None:
    asked = write_rows(
        tmp_path / "q.jsonl",
        {"query": "Who are you?", "response": "nobody"},
        {"messages": [{"role": "system", "content": "s"}, {"role": "user", "content": "再见"}]},
        {"query": "third", "history": [["a", "b"]], "response": "x"},
    )
    result = infer(*SIM, "--dataset", asked, "--max_new_tokens", "6", "--system", "be brief")
    assert result.exit_code == 0, result.output
    file = Path("infer_result/sim-chat/q.jsonl")
    rows = sorted(read_rows(file), key=lambda row: row["index"])
    assert [row["query"] for row in rows] == ["Who are you?", "再见", "third"]
    assert [row["label"] for row in rows] == ["nobody", None, "x"]
    assert [row["exact_match"] for row in rows] == [False, None, False]
    assert rows[2]["history"] == [["a", "b"]]
    assert rows[0]["origin"] == f"{asked}:1"
    assert all(row["num_generated_tokens"] == 6 and row["finish_reason"] == "length" for row in rows)
    assert all(0 < row["ttft_s"] <= row["latency_s"] and row["id"] and row["request_id"] for row in rows)
    for name in ("num_prompt_tokens", "num_generated_tokens", "num_samples", "runtime", "samples/s", "tokens/s"):
        assert f"\n{name} " in f"\n{result.stdout}"
    assert "rouge_l " in result.stdout
    assert "3/3 rows" in result.stderr
    again = infer(*SIM, "--dataset", asked, "--max_new_tokens", "6", "--system", "be brief")
    assert again.exit_code == 0
    assert again.stdout == result.stdout
    assert "3 of 3 rows were answered before" in again.stderr


def test_a_result_is_not_mixed_with_those_of_another_run(tmp_path: Path) -> None:
    asked = write_rows(tmp_path / "q.jsonl", {"query": "a"}, {"query": "b"})
    common = (*SIM, "--output", str(tmp_path / "r.jsonl"))
    assert infer(*common, "--dataset", asked).exit_code == 0
    assert "temperature was null and is now 0.5" in refused(*common, "--dataset", asked, "--temperature", "0.5", code=1)
    assert "seed was null and is now 3" in refused(*common, "--dataset", asked, "--seed", "3", code=1)
    assert "rows was 2 and is now 1" in refused(*common, "--dataset", f"{asked}#1", code=1)
    assert 'model was "sim-chat" and is now "other"' in refused(
        *common, "--dataset", asked, "--model-type", "other", code=1
    )
    write_rows(tmp_path / "q.jsonl", {"query": "a"}, {"query": "c"})
    assert "sha256 of the rows was" in refused(*common, "--dataset", asked, code=1)
    assert infer(*common, "--dataset", asked, "--overwrite").exit_code == 0
    assert [row["query"] for row in read_rows(tmp_path / "r.jsonl")] in (["a", "c"], ["c", "a"])


def test_rows_that_the_server_refuses_are_counted_and_asked_again(tmp_path: Path, url: str) -> None:
    asked = write_rows(tmp_path / "q.jsonl", {"query": "short", "response": "x"}, {"query": "word " * 400})
    args = ("--base-url", url, "--api-key", "secret", "--dataset", asked, "--output", str(tmp_path / "r.jsonl"))
    for _ in range(2):
        result = infer(*args, "--max_new_tokens", "2")
        assert result.exit_code == 1
        assert "1 of 2 rows failed; the same command asks them again" in result.stderr
        good, failed = sorted(read_rows(tmp_path / "r.jsonl"), key=lambda row: row["index"])
        assert good["error"] is None
        assert failed["error"]["type"] == "BadRequestError"
        assert "maximum context length" in failed["error"]["message"]
        assert json.loads((tmp_path / "r.run.json").read_text())["summary"]["num_failed"] == 1


def test_a_server_that_answers_nobody_fails_no_row(tmp_path: Path, url: str) -> None:
    asked = write_rows(tmp_path / "q.jsonl", {"query": "a"})
    refused("--base-url", url, "--dataset", asked, "--output", str(tmp_path / "r.jsonl"), code=1)
    assert not (tmp_path / "r.jsonl").exists()


def test_what_sft_held_back_is_evaluated_beside_the_checkpoint(tmp_path: Path) -> None:
    base = write_base(tmp_path / "base")
    adapter = write_adapter(tmp_path / "v0" / "checkpoint-5", base=str(base))
    samples = [Sample((Message("user", f"q{number}"),), "a", "x:1") for number in range(4)]
    save_dataset(adapter.parent, samples[:1], samples[1:])
    args = (*SIM, "--ckpt_dir", str(adapter), "--load_dataset_config", "true", "--val_dataset_sample", "2")
    assert infer(*args).exit_code == 0
    rows = read_rows(adapter / "infer_result" / "val.jsonl")
    assert len(rows) == 2
    assert json.loads((adapter / "infer_result" / "val.run.json").read_text())["run"]["model"] == "default-lora"
    save_dataset(adapter.parent, samples, [])
    assert f"--dataset {adapter.parent / 'train.jsonl'}" in refused(*args)
    assert "both name the data" in refused(*args, "--dataset", "x.jsonl")


def test_a_broken_row_is_named_before_a_model_is_loaded(tmp_path: Path) -> None:
    asked = write_rows(tmp_path / "q.jsonl", {"query": "a"}, {"query": 7})
    model = write_base(tmp_path / "base")
    told = refused("--model", str(model), "--dataset", asked)
    assert f"{asked}, line 2: query must be a string (got 7)" in told
    (tmp_path / "none.jsonl").write_text("\n")
    assert "has no rows" in refused("--model", str(model), "--dataset", str(tmp_path / "none.jsonl"))


def test_a_base_model_gets_questions_only(tmp_path: Path) -> None:
    asked = write_rows(tmp_path / "q.jsonl", {"query": "a"}, {"query": "b", "system": "s"})
    told = refused(*SIM, "--no-chat", "true", "--dataset", asked)
    assert f"{asked}:2 has more than a question, and sim-base is a base model" in told
    assert list(Path("infer_result").rglob("*.json*")) == []
    assert (
        infer(*SIM, "--no-chat", "true", "--dataset", write_rows(tmp_path / "q.jsonl", {"query": "a"})).exit_code == 0
    )


def test_self_cognition_can_be_asked(tmp_path: Path) -> None:
    result = infer(*SIM, "--dataset", "self-cognition#6", *NAMES, "--output", "r.jsonl", "--max_new_tokens", "3")
    assert result.exit_code == 0, result.output
    assert len(read_rows(tmp_path / "r.jsonl")) == 6
