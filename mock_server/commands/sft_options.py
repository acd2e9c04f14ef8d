"""The options of `sft`, under ms-swift's names."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, TypeVar

import click

from mock_server.commands.arguments import Section
from mock_server.commands.option_types import IntegerParam, NumberParam

_F = TypeVar("_F", bound=Callable[..., Any])
_POSITIVE = IntegerParam(1)
_SHARE = NumberParam(0, 1, max_open=True)
SCHEDULES = ("linear", "cosine", "constant", "constant_with_warmup")
DTYPES = ("auto", "fp32", "bf16", "fp16", "float32", "bfloat16", "float16")
EFFECTIVE_BATCH = 16
"""Rows that each step learns from, unless options say otherwise."""

_model = Section("Model")
_data = Section("Data")
_lora = Section("LoRA")
_train = Section("Training")
_run = Section("Run")

MODEL = (
    _model("--model-type", metavar="NAME", help="Model by type: qwen2-7b-instruct, smollm2-135m-instruct …"),
    _model("--model-id-or-path", "--model", "model_id_or_path", metavar="ID|DIR", help="Model by hub id or folder."),
    _model("--template-type", metavar="NAME", help="Chat template. [default: the model's own]"),
    _model(
        "--dtype",
        type=click.Choice(DTYPES, case_sensitive=False),
        default="auto",
        show_default=True,
        metavar="NAME",
        help="Type of the model's weights; auto is float32 on a CPU and bfloat16 on a GPU.",
    ),
    _model(
        "--device",
        type=click.Choice(("auto", "cpu", "cuda")),
        default="auto",
        show_default=True,
        help="Where to train; auto takes a GPU if there is one.",
    ),
)
DATA = (
    _data(
        "--dataset",
        multiple=True,
        metavar="NAME[#COUNT]...",
        help="JSONL files, and self-cognition; COUNT rows of each.",
    ),
    _data("--model-name", multiple=True, metavar="TEXT...", help="Who the model is: in Chinese, then in English."),
    _data("--model-author", multiple=True, metavar="TEXT...", help="Who made it: in Chinese, then in English."),
    _data("--system", type=click.STRING, metavar="TEXT", help="System message of rows that have none."),
    _data(
        "--dataset-test-ratio",
        type=_SHARE,
        default=0.01,
        show_default=True,
        metavar="SHARE",
        help="Share of the rows that is held back for evaluation.",
    ),
    _data(
        "--max-length",
        type=IntegerParam(-1),
        default=2048,
        show_default=True,
        help="Longest row in tokens; longer ones are left out. -1: no limit.",
    ),
)
LORA = (
    _lora(
        "--lora-target-modules",
        multiple=True,
        default=["ALL"],
        metavar="NAME...",
        help="Layers to train, or ALL linear layers except the output. [default: ALL]",
    ),
    _lora("--lora-rank", type=_POSITIVE, default=8, show_default=True, help="Rank of the adapter."),
    _lora("--lora-alpha", type=_POSITIVE, default=32, show_default=True, help="Scale of the adapter, times its rank."),
    _lora("--lora-dropout-p", type=_SHARE, default=0.05, show_default=True, metavar="SHARE", help="Dropout."),
)
TRAINING = (
    _train(
        "--learning-rate",
        type=NumberParam(0, min_open=True),
        default=1e-4,
        show_default=True,
        metavar="RATE",
        help="Highest learning rate.",
    ),
    _train("--num-train-epochs", type=NumberParam(0, min_open=True), default=1.0, show_default=True, metavar="N",
           help="Passes over the data."),
    _train("--max-steps", type=IntegerParam(-1), default=-1, show_default=True,
           help="Stop after this many steps. -1: after the epochs."),
    _train("--batch-size", type=_POSITIVE, default=1, show_default=True, help="Rows at a time, for each rank."),
    _train(
        "--gradient-accumulation-steps",
        type=_POSITIVE,
        help=f"Batches for each step. [default: as many as make {EFFECTIVE_BATCH} rows over all ranks]",
    ),
    _train("--lr-scheduler-type", type=click.Choice(SCHEDULES), default="linear", show_default=True,
           metavar=f"[{'|'.join(SCHEDULES)}]", help="How the learning rate falls."),
    _train("--warmup-ratio", type=_SHARE, default=0.05, show_default=True, metavar="SHARE",
           help="Share of the steps in which the learning rate rises."),
    _train("--weight-decay", type=NumberParam(0), default=0.1, show_default=True, metavar="RATE", help="AdamW's."),
    _train("--max-grad-norm", type=NumberParam(0, min_open=True), default=1.0, show_default=True, metavar="NORM",
           help="Longer gradients are shortened to this."),
    _train.switch("--gradient-checkpointing", help="Save memory at the price of time. [default: true on a GPU]"),
    _train("--seed", type=IntegerParam(0), default=42, show_default=True, help="Seed of all that is drawn."),
)  # fmt: skip
RUN = (
    _run("--output-dir", metavar="DIR", default="output", show_default=True, help="Folder for the runs."),
    _run("--eval-steps", type=_POSITIVE, default=50, show_default=True, help="Steps between evaluations."),
    _run("--save-steps", type=_POSITIVE, help="Steps between checkpoints. [default: --eval-steps]"),
    _run("--save-total-limit", type=IntegerParam(-1), default=2, show_default=True,
         help="Newest checkpoints to keep. -1: all."),
    _run("--logging-steps", type=_POSITIVE, default=5, show_default=True, help="Steps between lines of figures."),
    _run("--resume-from-checkpoint", metavar="DIR",
         help="Go on from a checkpoint, or from the newest of a run. Other options are not needed."),
    _run("--sft-type", type=click.Choice(("lora",)), default="lora", show_default=True, help="Kind of fine-tuning."),
)  # fmt: skip


def sft_options(command: _F) -> _F:
    for option in reversed([option for section in (MODEL, DATA, LORA, TRAINING, RUN) for option in section]):
        command = option(command)
    return command
