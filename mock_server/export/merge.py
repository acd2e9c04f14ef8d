"""Merges an adapter into its base with peft. Needs torch, so it is imported when an export begins."""

from __future__ import annotations

import json
import shutil
from pathlib import Path
from typing import Any

import torch
from peft import PeftModel
from transformers import AutoModelForCausalLM
from transformers.utils import logging as transformers_logging

from mock_server.engine.hf import checkpoint
from mock_server.export.errors import ExportError
from mock_server.export.plan import Merge
from mock_server.export.rest import copy_rest

_TEMPLATE = "chat_template.jinja"


def merge(plan: Merge, folder: Path) -> None:
    """Writes a whole model: weights, configuration, tokenizer, chat template. It is added in float32, and kept in the
    plan's type. Raises `ExportError`, `OSError`.
    """
    transformers_logging.set_verbosity_error()
    try:
        model = AutoModelForCausalLM.from_pretrained(plan.base, dtype=torch.float32)
        model = PeftModel.from_pretrained(model, plan.adapter)
        model = model.merge_and_unload(safe_merge=True)
    except (OSError, RuntimeError, ValueError, KeyError) as error:
        reason = str(error).strip().partition("\n")[0][:300]
        raise ExportError(f"{plan.adapter} cannot be merged into {plan.base}: {reason}") from None
    model.to(getattr(torch, plan.dtype)).save_pretrained(folder)
    copy_rest(plan.base, folder)
    _keep_template(plan, folder)


def _keep_template(plan: Merge, folder: Path) -> None:
    """The template that the adapter was trained with, where it says."""
    own = plan.adapter / _TEMPLATE
    if own.is_file():
        shutil.copyfile(own, folder / _TEMPLATE)
        _drop_template(folder / "tokenizer_config.json")


def _drop_template(tokenizer_config: Path) -> None:
    """Older models keep a template there, which would contradict the file."""
    if not tokenizer_config.is_file():
        return
    config: dict[str, Any] = checkpoint.read_json(tokenizer_config)
    if config.pop("chat_template", None) is not None:
        tokenizer_config.write_text(json.dumps(config, ensure_ascii=False, indent=2) + "\n", "utf-8")
