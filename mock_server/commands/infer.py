"""`infer`: chat with a model in the terminal, ask it one question, or evaluate it on a dataset."""

from __future__ import annotations

from typing import Any

import click

from mock_server.commands.arguments import OptionsCommand
from mock_server.commands.infer_options import infer_options
from streamgauge.option_sections import CONTEXT

_EXAMPLES = """\b
Examples:
  infer --model_type qwen2_5-7b-instruct
  infer --ckpt_dir output/checkpoint-100 --query 'Who are you?'
  infer --ckpt_dir output/checkpoint-100 --load_dataset_config true
  infer --base-url http://127.0.0.1:8000 --dataset questions.jsonl#100
"""


@click.command(cls=OptionsCommand, context_settings=CONTEXT, epilog=_EXAMPLES)
@infer_options
@click.pass_context
def infer(ctx: click.Context, /, **options: Any) -> int:
    """Chat with a model in the terminal, ask it one question, or evaluate it on a dataset.

    The model runs in this process, or on the server of --base-url. On a terminal, a chat begins: /help lists its
    commands. With --query, or with a question on standard input, only the answer goes to standard output. With a
    dataset, each row's answer becomes a line of a file, and figures of all rows follow.
    """
    from mock_server.commands.infer_run import run  # imports the SDK

    return run(ctx)
