"""`sft` for real: a tiny model for how runs are kept, stopped and resumed, and the small one for what it learns."""

from __future__ import annotations

import json
import signal
import subprocess
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import pytest

from mock_server.dataset.rows import read_samples
from mock_server.dataset.saved import find_saved
from mock_server.models.source import find_model
from tests.support.real_models import BASE, ROOT, tiny_model
from tests.vllm_training.cli import KEEP, command, done, environment, result, run

pytestmark = pytest.mark.vllm

STEPS, SAVED_EVERY = 4, 2


@pytest.fixture(scope="session")
def tiny() -> Path:
    return tiny_model() / "model"


def sft(model: Path, output: Path, *more: object, steps: int = STEPS) -> list[object]:
    return [
        "sft", "--model_id_or_path", model, "--dataset", f"{KEEP}#12", "--output_dir", output, "--max_steps", steps,
        "--batch_size", 1, "--gradient_accumulation_steps", 1, "--learning_rate", "5e-4", "--save_steps", SAVED_EVERY,
        "--eval_steps", SAVED_EVERY, "--logging_steps", 1, "--dataset_test_ratio", 0.1, *more,
    ]  # fmt: skip


def only_run(output: Path) -> Path:
    (found,) = output.glob("model/v0-*")
    return found


@pytest.fixture(scope="session")
def finished(tiny: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The folder of a run that nothing disturbed."""
    output = tmp_path_factory.mktemp("finished")
    printed = done(*sft(tiny, output))
    assert f"step {STEPS}/{STEPS}  loss " in printed
    return only_run(output)


@contextmanager
def running(*words: object, until: str) -> Iterator[subprocess.Popen[str]]:
    """A command that has printed a line which begins so."""
    with subprocess.Popen(
        command(*words), cwd=ROOT, env=environment(), stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True
    ) as program:
        try:
            assert program.stdout is not None
            assert any(line.startswith(until) for line in program.stdout), program.stderr and program.stderr.read()
            yield program
        finally:
            program.kill()


def log_of(run: Path) -> list[dict[str, Any]]:
    return [json.loads(line) for line in (run / "logging.jsonl").read_text().splitlines()]


def weights(run: Path) -> bytes:
    return (run / f"checkpoint-{STEPS}" / "adapter_model.safetensors").read_bytes()


def test_a_run_keeps_checkpoints_arguments_data_and_figures(finished: Path, tiny: Path) -> None:
    assert sorted(entry.name for entry in finished.iterdir()) == [
        "checkpoint-2", "checkpoint-4", "dataset_config.json", "logging.jsonl", "sft_args.json", "train.jsonl",
        "val.jsonl",
    ]  # fmt: skip
    source = find_model(ckpt_dir=str(finished / "checkpoint-4"))
    assert source is not None
    assert Path(source.path) == tiny.resolve()
    saved = find_saved(finished / "checkpoint-4")
    assert saved.val is not None
    assert (len(read_samples(saved.train)), len(read_samples(saved.val))) == (10, 2)
    lines = log_of(finished)
    assert [line["step"] for line in lines if "loss" in line] == [1, 2, 3, 4]
    assert [line["step"] for line in lines if "eval_loss" in line] == [2, 4]
    assert all(line["learning_rate"] >= 0 for line in lines if "loss" in line)


def test_a_killed_run_is_resumed_as_if_nothing_had_happened(finished: Path, tiny: Path, tmp_path: Path) -> None:
    with running(*sft(tiny, tmp_path), until="saved ") as program:
        program.send_signal(signal.SIGKILL)
    killed = only_run(tmp_path)
    assert f"resuming {killed / 'checkpoint-2'}" in done("sft", "--resume_from_checkpoint", killed)
    assert weights(killed) == weights(finished)
    assert [line["step"] for line in log_of(killed)] == [line["step"] for line in log_of(finished)]
    assert {line["step"]: line.get("loss") for line in log_of(killed)} == {
        line["step"]: line.get("loss") for line in log_of(finished)
    }


def test_ctrl_c_saves_and_says_how_to_go_on(tiny: Path, tmp_path: Path) -> None:
    with running(*sft(tiny, tmp_path, "--save_steps", 1000, steps=1000), until="step 2/") as program:
        program.send_signal(signal.SIGINT)
        said = program.communicate()[1]
        assert program.returncode == 130
    (checkpoint,) = only_run(tmp_path).glob("checkpoint-*")
    assert "nothing is lost" in said
    assert f"sft --resume_from_checkpoint {checkpoint}" in said


@pytest.mark.parametrize(
    ("words", "says"),
    [
        (["--dataset", KEEP], f"--dataset {KEEP} differs from the run to be resumed"),
        (["--model_id_or_path", BASE], f"--model-id-or-path {BASE.resolve()} differs from the run to be resumed"),
        (["--lora_rank", 4], "--lora-rank 4 differs from the run to be resumed, which has 8"),
    ],
)
def test_a_run_is_not_resumed_with_other_data_or_another_model(finished: Path, words: list[object], says: str) -> None:
    ended = run("sft", "--resume_from_checkpoint", finished, *words)
    assert ended.returncode == 2
    assert says in ended.stderr
    assert ended.stderr.count("\n") == 1


def test_two_ranks_train_together_and_stop_together(tiny: Path, tmp_path: Path) -> None:
    printed = done(*sft(tiny, tmp_path), env={"NPROC_PER_NODE": "2"})
    assert "2 ranks" in printed
    lines = log_of(only_run(tmp_path))
    assert [line["step"] for line in lines if "loss" in line] == [1, 2, 3, 4]
    resumed = run("sft", "--resume_from_checkpoint", only_run(tmp_path), env={"NPROC_PER_NODE": "1"})
    assert "--nproc-per-node 1 differs" in resumed.stderr


def test_layers_that_are_not_there_are_refused_with_those_that_are(tiny: Path, tmp_path: Path) -> None:
    ended = run(*sft(tiny, tmp_path, "--lora_target_modules", "c_attn"))
    assert ended.returncode == 2
    assert "--lora-target-modules c_attn cannot be trained" in ended.stderr
    assert "q_proj" in ended.stderr
    assert list(tmp_path.glob("model/*")) == []


def test_only_the_assistant_s_words_are_learned_with_the_real_template() -> None:
    found = result("labels.py", BASE)
    assert found["learned"] == "Hello!<|im_end|>Goodbye! 再见！<|im_end|>"
    assert found["all"].startswith("<|im_start|>system\nBe brief.<|im_end|>")
