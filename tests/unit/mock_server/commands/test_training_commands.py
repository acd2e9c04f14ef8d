"""`sft` and `export` as they are typed, up to where they would need torch."""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path

import pytest
from click.testing import CliRunner

from mock_server.commands import cli
from mock_server.dataset.rows import read_samples
from tests.support.checkpoints import write_adapter, write_base
from tests.support.serving import ROOT

KEEP = ROOT / "docs" / "examples" / "keep.jsonl"


@pytest.fixture
def base(tmp_path: Path) -> Path:
    return write_base(tmp_path / "base")


def said(*words: object, code: int = 2) -> str:
    found = CliRunner().invoke(cli, [*map(str, words)])
    assert found.exit_code == code, found.output
    assert found.output.startswith("Error: ")
    assert found.output.count("\n") == 1
    return found.output


@pytest.mark.parametrize("command", ["sft", "export"])
def test_help_has_an_example_and_imports_nothing_heavy(command: str) -> None:
    code = (
        "import sys; from mock_server.commands import cli\n"
        f"try: cli(['{command}', '--help'])\n"
        "except SystemExit: pass\n"
        "print(*{name.partition('.')[0] for name in sys.modules})"
    )
    shown = subprocess.run([sys.executable, "-c", code], cwd=ROOT, capture_output=True, text=True, check=True).stdout
    *text, modules = shown.splitlines()
    assert any(line.strip().startswith(f"python -m mock_server {command} --") for line in text)
    assert not {"torch", "transformers", "fastapi", "trl", "peft", "datasets", "rich", "numpy"} & set(modules.split())


@pytest.mark.parametrize(
    ("words", "says"),
    [
        (["--dataset", KEEP], "name the model to train with --model-type or --model-id-or-path"),
        (["--model", "/none", "--dataset", KEEP], "--model-id-or-path /none: there is no such folder"),
        (["--model", "BASE"], "name what to train on with --dataset"),
        (["--model", "BASE", "--dataset", "sharegpt-gpt4:default"], "Datasets of a hub are not downloaded"),
        (["--model", "BASE", "--dataset", "self-cognition#5"], "give both"),
        (["--model", "BASE", "--dataset", KEEP, "--template-type", "qwenn"], "Did you mean qwen?"),
        (["--resume-from-checkpoint", "/none"], "--resume-from-checkpoint /none: there is no such folder"),
    ],
)
def test_sft_says_what_is_wrong_in_one_line(base: Path, words: list[object], says: str) -> None:
    assert says in said("sft", *[base if word == "BASE" else word for word in words])


def test_sft_names_the_line_of_a_broken_row_and_of_one_without_an_answer(base: Path, tmp_path: Path) -> None:
    broken = tmp_path / "broken.jsonl"
    broken.write_text('{"query": "a", "response": "b"}\n{"query": \n')
    assert f"{broken}, line 2: not JSON" in said("sft", "--model", base, "--dataset", broken)
    broken.write_text('{"query": "a", "response": "b"}\n{"query": "c"}\n')
    assert f"{broken}:2 has no response" in said("sft", "--model", base, "--dataset", broken)


def test_sft_refuses_an_unknown_option_and_number_of_ranks(base: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    found = CliRunner().invoke(cli, ["sft", "--lora_rang", "8"])
    assert found.exit_code == 2
    assert "--lora-rank" in found.output
    monkeypatch.setenv("NPROC_PER_NODE", "two")
    assert "NPROC_PER_NODE must be a number of ranks" in said("sft", "--model", base, "--dataset", KEEP)


@pytest.mark.parametrize(
    ("words", "says"),
    [
        ([], "name what to export with --ckpt-dir or --model-id-or-path"),
        (["--ckpt-dir", "/none", "--merge-lora"], "--ckpt-dir /none: there is no such folder"),
        (["--ckpt_dir", "BASE", "--merge_lora", "true"], "is a whole model, and there is no adapter to merge"),
        (["--ckpt-dir", "ADAPTER"], "name what to do: --merge-lora true or --quant-bits 4"),
        (["--model", "BASE", "--quant_bits", "4"], "--quant-method gptq needs rows to calibrate with"),
        (["--model", "BASE", "--quant_bits", "4", "--dataset", "/none.jsonl"], "there is no such file"),
    ],
)
def test_export_says_what_is_wrong_in_one_line(base: Path, tmp_path: Path, words: list[str], says: str) -> None:
    adapter = write_adapter(tmp_path / "adapter", base=str(base))
    given = {"BASE": str(base), "ADAPTER": str(adapter)}
    assert says in said("export", *[given.get(word, word) for word in words])


def test_export_names_the_command_that_installs_the_quantizer(base: Path, tmp_path: Path) -> None:
    words = ["--quant-method", "rtn", "--quant-bits", "4", "--quantizer-dir", tmp_path / "none"]
    assert "run: python -m mock_server export --install-quantizer" in said("export", "--model", base, *words, code=1)


def test_export_overwrites_nothing_that_it_was_not_told_to(base: Path, tmp_path: Path) -> None:
    adapter = write_adapter(tmp_path / "adapter", base=str(base))
    (tmp_path / "adapter-merged").mkdir()
    assert "adapter-merged exists already" in said("export", "--ckpt-dir", adapter, "--merge-lora")


def test_the_rows_of_the_documented_command_can_be_read() -> None:
    rows = read_samples(KEEP)
    assert all(row.response for row in rows)
    assert len({json.dumps(row.messages) for row in rows}) == len(rows)
