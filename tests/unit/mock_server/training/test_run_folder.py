from __future__ import annotations

import json
import subprocess
import sys
from datetime import UTC, datetime
from pathlib import Path

import pytest

from mock_server.training import run_folder
from mock_server.training.errors import TrainingError, TrainingOptionError
from tests.support.serving import ROOT
from tests.unit.mock_server.training.settings_of_runs import settings

NOW = datetime(2026, 12, 1, 9, 30, 15, tzinfo=UTC)


def write_checkpoint(run: Path, step: int, *, without: str = "") -> Path:
    folder = run / f"checkpoint-{step}"
    folder.mkdir(parents=True)
    for name in ("adapter_config.json", "adapter_model.safetensors", "optimizer.pt", "scheduler.pt"):
        (folder / name).write_bytes(b"{}")
    settings().write(folder)
    (folder / "trainer_state.json").write_text(json.dumps({"global_step": step}))
    if without:
        (folder / without).unlink()
    return folder


def test_runs_are_numbered_and_have_their_time(tmp_path: Path) -> None:
    first = run_folder.new_run(tmp_path, "qwen/Qwen 2", NOW)
    second = run_folder.new_run(tmp_path, "qwen/Qwen 2", NOW)
    assert first == tmp_path / "qwen-Qwen-2" / "v0-20261201-093015"
    assert second.name == "v1-20261201-093015"


def test_a_folder_that_cannot_be_written_is_named(tmp_path: Path) -> None:
    (tmp_path / "file").touch()
    with pytest.raises(TrainingError, match=r"--output-dir .*/file cannot be written"):
        run_folder.new_run(tmp_path / "file", "m", NOW)


@pytest.mark.parametrize(
    "missing", ["adapter_model.safetensors", "optimizer.pt", "scheduler.pt", "sft_args.json", "trainer_state.json"]
)
def test_a_checkpoint_that_was_being_written_does_not_count(tmp_path: Path, missing: str) -> None:
    whole = write_checkpoint(tmp_path, 4)
    broken = write_checkpoint(tmp_path, 8, without=missing)
    assert run_folder.checkpoints(tmp_path) == [whole]
    assert run_folder.find_checkpoint(tmp_path) == whole
    with pytest.raises(TrainingOptionError, match=f"newest complete one of this run is {whole}"):
        run_folder.find_checkpoint(broken)
    run_folder.remove_incomplete(tmp_path)
    assert [entry.name for entry in tmp_path.iterdir()] == ["checkpoint-4"]


def test_a_state_that_was_cut_off_does_not_count(tmp_path: Path) -> None:
    (write_checkpoint(tmp_path, 4) / "trainer_state.json").write_text('{"global_step": 4')
    assert run_folder.checkpoints(tmp_path) == []


def test_a_folder_with_another_step_s_state_does_not_count(tmp_path: Path) -> None:
    write_checkpoint(tmp_path, 4).rename(tmp_path / "checkpoint-5")
    assert run_folder.checkpoints(tmp_path) == []


def test_checkpoints_are_in_the_order_of_their_steps(tmp_path: Path) -> None:
    for step in (100, 20, 3):
        write_checkpoint(tmp_path, step)
    assert [run_folder.step_of(each) for each in run_folder.checkpoints(tmp_path)] == [3, 20, 100]


def test_only_checkpoints_are_removed_when_there_are_too_many(tmp_path: Path) -> None:
    for step in (4, 8, 12):
        write_checkpoint(tmp_path, step)
    (tmp_path / "checkpoint-4-merged").mkdir()
    run_folder.remove_oldest(tmp_path, 2)
    assert sorted(entry.name for entry in tmp_path.iterdir()) == [
        "checkpoint-12",
        "checkpoint-4-merged",
        "checkpoint-8",
    ]


def test_checkpoints_of_another_way_are_set_aside_and_none_is_lost(tmp_path: Path) -> None:
    for _ in range(2):
        for step in (4, 8):
            if not (tmp_path / f"checkpoint-{step}").exists():
                write_checkpoint(tmp_path, step)
        run_folder.set_aside_later(tmp_path, 4)
        assert [run_folder.step_of(each) for each in run_folder.checkpoints(tmp_path)] == [4]
    names = ["checkpoint-4", "replaced-1-checkpoint-8", "replaced-2-checkpoint-8"]
    assert sorted(entry.name for entry in tmp_path.iterdir()) == names


def test_a_folder_that_is_no_run_is_refused(tmp_path: Path) -> None:
    with pytest.raises(TrainingOptionError, match="has no complete checkpoint"):
        run_folder.find_checkpoint(tmp_path)
    with pytest.raises(TrainingOptionError, match="there is no such folder"):
        run_folder.find_checkpoint(tmp_path / "none")


def test_the_log_loses_the_steps_that_are_done_again(tmp_path: Path) -> None:
    log = tmp_path / run_folder.LOG
    log.write_text('{"step": 4, "loss": 2}\n{"step": 5, "loss": 1}\n{"step": 6, "lo')
    run_folder.cut_log(tmp_path, 4)
    assert log.read_text() == '{"step": 4, "loss": 2}\n'


def test_two_runs_do_not_train_in_one_folder(tmp_path: Path) -> None:
    code = (
        "import sys; from pathlib import Path; from mock_server.training.run_folder import locked\n"
        f"with locked(Path({str(tmp_path)!r})):\n    print('locked', flush=True); sys.stdin.read()"
    )
    with subprocess.Popen(
        [sys.executable, "-c", code], cwd=ROOT, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True
    ) as other:
        assert other.stdout is not None
        assert other.stdout.readline() == "locked\n"
        with pytest.raises(TrainingError, match="another run is training"), run_folder.locked(tmp_path):
            pass
        other.communicate("")
    with run_folder.locked(tmp_path):
        pass
