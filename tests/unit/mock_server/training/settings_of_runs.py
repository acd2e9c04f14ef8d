"""Settings for tests."""

from __future__ import annotations

from typing import Any

from mock_server.training.settings import TrainSettings

DEFAULTS: dict[str, Any] = {
    "model_id_or_path": "/models/base", "model_type": None, "template_type": None, "model_fingerprint": "f",
    "dataset": ("a.jsonl",), "model_name": ("小黄", "Xiao Huang"), "model_author": (), "system": None,
    "dataset_test_ratio": 0.01, "max_length": 512, "lora_target_modules": ("ALL",), "lora_rank": 8, "lora_alpha": 32,
    "lora_dropout_p": 0.0, "learning_rate": 1e-4, "warmup_ratio": 0.05, "weight_decay": 0.1, "max_grad_norm": 1.0,
    "lr_scheduler_type": "linear", "num_train_epochs": 1.0, "max_steps": None, "batch_size": 1,
    "gradient_accumulation_steps": 16, "eval_steps": 50, "save_steps": 50, "save_total_limit": 2, "logging_steps": 5,
    "seed": 42, "dtype": "auto", "device": "auto", "gradient_checkpointing": None, "nproc_per_node": 1,
}  # fmt: skip


def settings(**changed: Any) -> TrainSettings:
    return TrainSettings(**{**DEFAULTS, **changed})
