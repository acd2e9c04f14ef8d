from __future__ import annotations

import json
from pathlib import Path

import pytest

from mock_server.models.swift_args import read_swift_args
from mock_server.training.errors import TrainingOptionError
from mock_server.training.settings import FILE, read_settings, resumed_settings
from tests.unit.mock_server.training.settings_of_runs import settings


def test_settings_are_read_as_they_were_written(tmp_path: Path) -> None:
    wanted = settings(max_steps=7, system="be brief", gradient_checkpointing=False)
    wanted.write(tmp_path)
    assert read_settings(tmp_path) == wanted


def test_deploy_finds_the_base_in_them(tmp_path: Path) -> None:
    settings(model_type="qwen2-7b-instruct").write(tmp_path)
    found = read_swift_args(tmp_path)
    assert found.model_type == "qwen2-7b-instruct"
    assert found.models == ("/models/base",)


def test_arguments_of_another_program_are_refused_by_what_they_lack(tmp_path: Path) -> None:
    (tmp_path / FILE).write_text(json.dumps({"model_type": "qwen-7b-chat"}))
    with pytest.raises(TrainingOptionError, match="has no model_id_or_path"):
        read_settings(tmp_path)


@pytest.mark.parametrize(
    ("name", "value", "says"),
    [
        ("model_id_or_path", "/models/other", "--model-id-or-path /models/other differs .* has /models/base"),
        ("dataset", ("b.jsonl#5",), r"--dataset b.jsonl#5 differs .* has a.jsonl"),
        ("lora_rank", 16, "--lora-rank 16 differs .* has 8"),
        ("model_name", ("小李",), "--model-name 小李 differs .* has 小黄 Xiao Huang"),
        ("nproc_per_node", 2, "--nproc-per-node 2 differs"),
    ],
)
def test_a_resumed_run_keeps_what_it_was_trained_with(name: str, value: object, says: str) -> None:
    with pytest.raises(TrainingOptionError, match=says):
        resumed_settings(settings(), {name: value}, {name})


def test_a_resumed_run_may_become_longer() -> None:
    resumed = resumed_settings(settings(), {"num_train_epochs": 3.0, "lora_rank": 99}, {"num_train_epochs"})
    assert resumed == settings(num_train_epochs=3.0)


def test_what_is_typed_again_is_no_difference() -> None:
    assert resumed_settings(settings(), {"lora_rank": 8}, {"lora_rank", "output_dir"}) == settings()
