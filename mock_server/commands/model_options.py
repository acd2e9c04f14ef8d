"""The options that choose a model and how it answers, under vLLM's and ms-swift's names."""

from __future__ import annotations

from collections.abc import Callable
from functools import cache
from typing import Any, TypeVar

import click

from mock_server.answer.message_reader import REASONING_FORMATS, TOOL_FORMATS
from mock_server.commands.arguments import Section
from mock_server.commands.engine_choice import BACKENDS, NATIVE
from mock_server.commands.engine_options import engine_options
from mock_server.commands.option_types import AdapterParam
from mock_server.engine.options import ADAPTERS as ADAPTERS_HEADING
from mock_server.engine.options import ANSWERS as ANSWERS_HEADING
from mock_server.engine.options import MODEL as MODEL_HEADING
from mock_server.engine.registry import ENGINES
from mock_server.models.source import DEFAULT_ADAPTER

_F = TypeVar("_F", bound=Callable[..., Any])

_model = Section(MODEL_HEADING)
_answers = Section(ANSWERS_HEADING)
_adapters = Section(ADAPTERS_HEADING)


def _engine(others: str, default: str) -> Callable[[_F], _F]:
    return _model("--engine", metavar="NAME", help=f"{', '.join(ENGINES)}{others}. [default: {default}]")


_MODEL = (
    _model("--infer-backend", metavar="NAME", help=f"ms-swift's name for the engine: {', '.join(BACKENDS)}."),
    _model("--model-type", metavar="NAME", help="Model by type: qwen-7b-chat, smollm2-135m-instruct …"),
    _model("--model-id-or-path", "--model", "model_id_or_path", metavar="ID|DIR", help="Model by hub id or folder."),
    _model(
        "--ckpt-dir", metavar="DIR", help=f"Fine-tuned model, or an adapter to serve as {DEFAULT_ADAPTER} on its base."
    ),
    _model.switch("--no-chat", default=False, help="Serve a base model: completions only."),
    _model(
        "--tool-call-parser",
        type=click.Choice(TOOL_FORMATS),
        help="Format in which the model writes tool calls. [default: unknown for a real model]",
    ),
    _model.switch(
        "--enable-auto-tool-choice",
        help="Let the model decide whether to call a tool. [default: if the format is known]",
    ),
    _model(
        "--reasoning-parser",
        type=click.Choice(REASONING_FORMATS),
        metavar=f"[{'|'.join(REASONING_FORMATS)}]",
        help="Format in which the model marks its thoughts. [default: unknown for a real model]",
    ),
)
MODEL = (_engine(f", or {NATIVE} (vllm serve)", "vllm if a model is named, else sim"), *_MODEL)
ANSWERS = (
    _answers("--system", type=click.STRING, metavar="TEXT", help="System message of conversations that have none."),
    _answers("--stop-words", multiple=True, metavar="TEXT...", help="Strings that end every answer."),
)
ADAPTERS = (
    _adapters("--lora-modules", multiple=True, type=AdapterParam(), metavar="NAME=PATH...", help="Adapters to serve."),
)


def model_options() -> list[Callable[[_F], _F]]:
    """Those of this module and those of the engines, for a command that is no server."""
    return [_engine("", "vllm"), *_MODEL, *ANSWERS, *ADAPTERS, *engine_options()]


@cache
def model_option_names() -> frozenset[str]:
    """The parameters of `model_options`."""

    def command() -> None: ...

    for option in model_options():
        command = option(command)
    return frozenset(param.name for param in command.__click_params__)  # type: ignore[attr-defined]
