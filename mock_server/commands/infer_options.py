"""The options of `infer`: those of a model or of a running server, and what is asked of it."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, TypeVar

from mock_server.commands.arguments import Section
from mock_server.commands.model_access import access_options
from mock_server.commands.option_types import IntegerParam

_F = TypeVar("_F", bound=Callable[..., Any])
_SEEDS = IntegerParam(0)

_question = Section("One question")
_evaluation = Section("Evaluation over a dataset")
_process = Section("Process")
OPTIONS = (
    _question(
        "--query", metavar="TEXT", help="Answer this and end. [default: standard input, unless it is a terminal]"
    ),
    _evaluation(
        "--dataset",
        "--val-dataset",
        "dataset",
        multiple=True,
        metavar="FILE[#N]...",
        help="JSONL files, or self-cognition; #N takes that many rows.",
    ),
    _evaluation.switch(
        "--load-dataset-config", default=False, help="Use the rows that sft held back beside the --ckpt-dir."
    ),
    _evaluation("--val-dataset-sample", type=IntegerParam(1), help="Number of rows to draw from all. [default: all]"),
    _evaluation("--dataset-seed", type=_SEEDS, default=42, show_default=True, help="Seed by which rows are drawn."),
    _evaluation("--model-name", multiple=True, metavar="NAME...", help="For self-cognition: name in Chinese, English."),
    _evaluation("--model-author", multiple=True, metavar="NAME...", help="For self-cognition: author likewise."),
    _evaluation(
        "--result-path",
        "--output",
        "result_path",
        metavar="FILE",
        help="File of results. [default: in infer_result, in the --ckpt-dir or here]",
    ),
    _evaluation.switch(
        "--overwrite", default=False, help="Begin again if that file exists, instead of going on with it."
    ),
    _evaluation(
        "--max-batch-size",
        type=IntegerParam(1, 4096),
        default=16,
        show_default=True,
        help="Maximum number of rows in progress.",
    ),
    _process.switch("--verbose", default=False, help="Show the log of the engine on standard error."),
)


def infer_options(command: _F) -> _F:
    command = access_options(command)
    for option in reversed(OPTIONS):
        command = option(command)
    return command
