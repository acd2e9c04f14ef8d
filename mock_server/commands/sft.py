"""`sft`: fine-tune a model with LoRA."""

from __future__ import annotations

import os
from collections.abc import Mapping
from datetime import datetime
from importlib.util import find_spec
from pathlib import Path
from typing import Any

import click

from mock_server.commands.arguments import OptionsCommand, typed_options
from mock_server.commands.sft_options import EFFECTIVE_BATCH, sft_options
from mock_server.commands.wrong_use import WrongUseError
from mock_server.dataset.rows import DatasetError
from mock_server.engine.wording import Setting, WordedError
from mock_server.models.source import ModelSource, ModelSourceError, find_model
from mock_server.models.templates import TemplateError, find_template
from mock_server.training.errors import TrainingError, TrainingOptionError
from mock_server.training.run_folder import LOG, checkpoints
from mock_server.training.settings import TrainSettings
from mock_server.training.sft import Ended, Run, load_rows, model_fingerprint, resume_run, start_run, train
from streamgauge.install import install_command
from streamgauge.option_sections import CONTEXT

_NEEDED = ("torch", "transformers", "accelerate", "peft", "trl", "datasets")
_RANKS = "NPROC_PER_NODE"
_INTERRUPTED = 130
_EPILOG = """\b
Example:
  python -m mock_server sft --model_id_or_path DIR --dataset self-cognition#120 my.jsonl#100 \\
      --model_name 小黄 'Xiao Huang' --model_author 魔搭 ModelScope --learning_rate 5e-4 --output_dir output

NPROC_PER_NODE=N in the environment starts N ranks. Ctrl-C saves a checkpoint and stops. Options with ... take several
values: in a row or repeatedly."""


@click.command(cls=OptionsCommand, context_settings=CONTEXT, epilog=_EPILOG)
@sft_options
@click.pass_context
def sft(ctx: click.Context, /, **options: Any) -> None:
    """Fine-tune a model with LoRA.

    Writes checkpoints to OUTPUT_DIR/MODEL/vN-TIME/checkpoint-STEP. Each is an adapter that infer, deploy and export
    take with --ckpt_dir.
    """
    try:
        run = _run(ctx, options)
    except (DatasetError, ModelSourceError, TemplateError, TrainingOptionError) as error:
        raise WrongUseError(str(error)) from None
    except TrainingError as error:
        raise click.ClickException(str(error)) from None
    ctx.exit(_train(run))


def _run(ctx: click.Context, options: Mapping[str, Any]) -> Run:
    typed = typed_options(ctx)
    if options["template_type"] is not None:
        find_template(options["template_type"])
    checkpoint = options["resume_from_checkpoint"]
    if checkpoint is None:
        source = _source(options)
        settings = TrainSettings(**_settings(options, source))
        rows = load_rows(settings)
        _check_installed()
        output_dir = Path(options["output_dir"]).expanduser()
        return start_run(settings, rows, output_dir, source.name, datetime.now().astimezone())
    has_model = bool(typed & {"model_type", "model_id_or_path"})
    given = _settings(options, _source(options) if has_model else None)
    if has_model:
        typed = (typed - {"model_type"}) | {"model_id_or_path"}
    if _RANKS in os.environ:
        typed = typed | {"nproc_per_node"}
    run = resume_run(given, typed, Path(checkpoint))
    _check_installed()
    return run


def _check_installed() -> None:
    """Raises `TrainingError`."""
    missing = [name for name in _NEEDED if find_spec(name) is None]
    if missing:
        raise TrainingError(f"sft needs {', '.join(missing)}: {install_command('train')}")


def _source(options: Mapping[str, Any]) -> ModelSource:
    """Raises `ModelSourceError`."""
    source = find_model(model_type=options["model_type"], model_id_or_path=options["model_id_or_path"])
    if source is None:
        raise ModelSourceError(
            "name the model to train with ", Setting("model_type"), " or ", Setting("model_id_or_path")
        )
    return source


def _settings(options: Mapping[str, Any], source: ModelSource | None) -> dict[str, Any]:
    """The values of `TrainSettings`."""
    ranks = _ranks()
    path = "" if source is None else source.path
    is_folder = Path(path).is_dir()
    path = str(Path(path).resolve()) if path and is_folder else path
    return {
        **{name: options[name] for name in TrainSettings.__dataclass_fields__ if name in options},
        "model_id_or_path": path,
        "model_type": source.type.name if source and source.type else None,
        "model_fingerprint": model_fingerprint(path) if path else None,
        "max_length": _limit(options["max_length"]),
        "max_steps": _limit(options["max_steps"]),
        "save_total_limit": _limit(options["save_total_limit"]),
        "save_steps": options["save_steps"] or options["eval_steps"],
        "gradient_accumulation_steps": options["gradient_accumulation_steps"]
        or max(1, EFFECTIVE_BATCH // (options["batch_size"] * ranks)),
        "nproc_per_node": ranks,
    }


def _limit(value: int) -> int | None:
    return None if value < 1 else value


def _ranks() -> int:
    """Raises `TrainingOptionError`."""
    text = os.environ.get(_RANKS, "1")
    if not (text.isascii() and text.isdigit() and int(text) > 0):
        raise TrainingOptionError(f"{_RANKS} must be a number of ranks, 1 or more (got {text!r})")
    return int(text)


def _train(run: Run) -> int:
    """The exit code."""
    if run.checkpoint is not None:
        click.echo(f"resuming {run.checkpoint}")
    click.echo(f"run {run.folder}")
    try:
        ended = train(run, click.echo)
    except KeyboardInterrupt:
        click.echo(f"interrupted{_how_to_resume(run)}", err=True)
        return _INTERRUPTED
    except WordedError as error:
        kind = WrongUseError if isinstance(error, (TrainingOptionError, DatasetError)) else click.ClickException
        raise kind(f"{error}{_how_to_resume(run, otherwise='')}") from None
    return _report(run, ended)


def _report(run: Run, ended: Ended) -> int:
    outcome = ended.outcome
    if outcome.was_stopped:
        click.echo(
            f"stopped after step {outcome.step} of {outcome.steps}; nothing is lost{_how_to_resume(run)}", err=True
        )
        return _INTERRUPTED
    click.echo(f"done: {outcome.step} steps; figures in {run.folder / LOG}; checkpoint {ended.checkpoint}")
    return 0


def _how_to_resume(run: Run, otherwise: str = " before the first checkpoint: nothing is kept") -> str:
    saved = checkpoints(run.folder) if run.folder.is_dir() else []
    if not saved:
        return otherwise
    return f". Go on with: {_program()} sft --resume_from_checkpoint {saved[-1]}"


def _program() -> str:
    ctx = click.get_current_context()
    return ctx.command_path.rpartition(" ")[0] or "python -m mock_server"
