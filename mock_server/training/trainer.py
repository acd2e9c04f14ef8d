"""Trains an adapter with trl and peft. Needs torch, so it is imported when a run begins."""

from __future__ import annotations

import json
import math
import shutil
import time
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

import torch
from datasets import Dataset
from peft import LoraConfig
from transformers import AutoModelForCausalLM, AutoTokenizer, PrinterCallback, TrainerCallback
from transformers.utils import logging as transformers_logging
from trl import SFTConfig, SFTTrainer

from mock_server.dataset.rows import read_samples
from mock_server.dataset.sample import Message, Sample
from mock_server.dataset.saved import find_saved
from mock_server.engine.dtypes import dtype_name
from mock_server.engine.wording import Setting
from mock_server.models.templates import find_template
from mock_server.models.types import MODEL_TYPES
from mock_server.training.disk import full_disk, needed_text
from mock_server.training.encoding import EncodedRow, encode
from mock_server.training.errors import TrainingError, TrainingOptionError
from mock_server.training.log_line import progress_line, record
from mock_server.training.outcome import Outcome
from mock_server.training.run_folder import LOG, remove_oldest
from mock_server.training.settings import ALL_LINEAR, TrainSettings
from mock_server.training.stopping import StopRequest

Say = Callable[[str], None]
_ADAM_COPIES = 3  # the adapter and Adam's two moments, each in float32
_KEPT_CHECKPOINTS = 2  # what is checked for where there is no limit


def train(run: Path, settings: TrainSettings, checkpoint: Path | None, stop: StopRequest, say: Say) -> Outcome:
    """Trains until the end, or until `stop`; then the last step is saved too. Raises `TrainingError`."""
    transformers_logging.set_verbosity_error()
    device = _device(settings)
    tokenizer = _tokenizer(settings)
    train_rows, val_rows = _rows(run, settings, tokenizer, say)
    model = _model(settings, device)
    progress = _Progress(run, stop, say, settings.save_total_limit)
    arguments = _arguments(run, settings, device, has_val=bool(val_rows))
    try:
        trainer = _Trainer(
            settings,
            model=model,
            args=arguments,
            train_dataset=_dataset(train_rows),
            eval_dataset=_dataset(val_rows) if val_rows else None,
            processing_class=tokenizer,
            peft_config=_lora(settings),
            callbacks=[progress],
        )
    except ValueError as error:  # peft finds no such module, or trl refuses the output layer
        linear = sorted({name.rpartition(".")[2] for name, each in model.named_modules() if _is_linear(each)})
        problem = str(error).partition("\n")[0][:200]
        raise TrainingOptionError(
            Setting("lora_target_modules", " ".join(settings.lora_target_modules)),
            f" cannot be trained: {problem} (linear layers: {', '.join(linear)})",
        ) from None
    trainer.remove_callback(PrinterCallback)
    if trainer.is_world_process_zero():
        _check_room(run, trainer, settings)
        say(_summary(trainer, len(train_rows), len(val_rows)))
    return _run(trainer, run, checkpoint)


def _summary(trainer: _Trainer, num_train: int, num_val: int) -> str:
    parameters = sum(each.numel() for each in trainer.model.parameters() if each.requires_grad)
    dtype = str(trainer.model.dtype).removeprefix("torch.")
    held = f", {num_val} held back" if num_val else ""
    ranks = trainer.args.world_size
    where = f"{ranks} ranks, {trainer.args.device.type}" if ranks > 1 else trainer.args.device.type
    return f"training {parameters / 1e6:.2f} million parameters on {num_train} rows{held} ({dtype}, {where})"


def _run(trainer: _Trainer, run: Path, checkpoint: Path | None) -> Outcome:
    try:
        trainer.train(resume_from_checkpoint=str(checkpoint) if checkpoint else None)
    except (OSError, RuntimeError, ValueError, torch.OutOfMemoryError) as error:
        if full_disk(error):
            raise TrainingError(f"no space left on the disk of {run}: free some") from None
        if isinstance(error, torch.OutOfMemoryError):
            raise TrainingError(
                "the GPU has too little memory: lower ",
                Setting("batch_size"),
                " or ",
                Setting("max_length"),
                ", or set ",
                Setting("gradient_checkpointing", True),
            ) from None
        raise
    state = trainer.state
    return Outcome(state.global_step, state.max_steps, was_stopped=state.global_step < state.max_steps)


class _Trainer(SFTTrainer):  # type: ignore[misc]
    """Keeps a run's settings in each checkpoint, before the file that says the checkpoint is complete."""

    def __init__(self, settings: TrainSettings, **options: Any) -> None:
        self._settings = settings
        super().__init__(**options)

    def save_model(self, output_dir: str | None = None, _internal_call: bool = False) -> None:
        super().save_model(output_dir, _internal_call)
        if output_dir is not None and self.args.should_save:
            self._settings.write(Path(output_dir))

    def create_model_card(self, *_arguments: Any, **_options: Any) -> None:
        """peft writes one into each checkpoint."""


class _Progress(TrainerCallback):  # type: ignore[misc]
    """Writes the log, and stops all ranks after the same step."""

    def __init__(self, run: Path, stop: StopRequest, say: Say, keep: int | None) -> None:
        """`keep` is how many checkpoints to keep; None: all."""
        self._run, self._stop, self._say, self._keep = run, stop, say, keep
        self._began = 0.0
        self._first_step = 0

    def on_train_begin(self, args: Any, state: Any, control: Any, **_given: Any) -> None:
        self._began, self._first_step = time.monotonic(), state.global_step
        self._stop.is_training = True

    def on_log(self, args: Any, state: Any, control: Any, logs: dict[str, Any] | None = None, **_given: Any) -> None:
        elapsed_s = time.monotonic() - self._began
        found = record(logs or {}, state.global_step, state.max_steps, elapsed_s)
        if found is None or not state.is_world_process_zero:
            return
        if not math.isfinite(found.get("loss", 0)):
            raise TrainingError(
                f"the loss of step {found['step']} is {found['loss']}: lower ", Setting("learning_rate")
            )
        with (self._run / LOG).open("a", encoding="utf-8") as log:
            log.write(json.dumps(found) + "\n")
        done = state.global_step - self._first_step
        left_s = elapsed_s / done * (state.max_steps - state.global_step) if done else None
        self._say(progress_line(found, left_s))

    def on_step_end(self, args: Any, state: Any, control: Any, **_given: Any) -> None:
        if _any_rank(self._stop.is_made(), args.device):
            control.should_save = control.should_training_stop = True

    def on_save(self, args: Any, state: Any, control: Any, **_given: Any) -> None:
        if state.is_world_process_zero:
            if self._keep is not None:
                remove_oldest(self._run, self._keep)
            self._say(f"saved {self._run / f'checkpoint-{state.global_step}'}")


def _any_rank(is_so: bool, device: torch.device) -> bool:
    if not (torch.distributed.is_available() and torch.distributed.is_initialized()):
        return is_so
    said = torch.tensor(int(is_so), device=device)
    torch.distributed.all_reduce(said, op=torch.distributed.ReduceOp.MAX)
    return bool(said.item())


def _device(settings: TrainSettings) -> str:
    if settings.device == "cpu" or (settings.device == "auto" and not torch.cuda.is_available()):
        return "cpu"
    if not torch.cuda.is_available():
        raise TrainingOptionError(Setting("device", settings.device), ": torch finds no GPU here")
    return "cuda"


def _dtype(settings: TrainSettings, device: str) -> torch.dtype:
    name = dtype_name(settings.dtype)
    if name == "auto":
        return torch.bfloat16 if device == "cuda" and torch.cuda.is_bf16_supported() else torch.float32
    found: torch.dtype = getattr(torch, name)
    return found


def _tokenizer(settings: TrainSettings) -> Any:
    try:
        tokenizer = AutoTokenizer.from_pretrained(settings.model_id_or_path)
    except (OSError, ValueError) as error:
        raise _not_loaded(settings, "tokenizer", error) from None
    if settings.template_type is not None:
        tokenizer.chat_template = find_template(settings.template_type)
    known = MODEL_TYPES.get(settings.model_type or "")
    if not tokenizer.chat_template and known is not None and known.template is not None:
        tokenizer.chat_template = find_template(known.template)
    if not tokenizer.chat_template:
        raise TrainingOptionError(
            f"the model {settings.model_id_or_path} has no chat template: name one with ", Setting("template_type")
        )
    if tokenizer.pad_token is None:
        tokenizer.pad_token = tokenizer.eos_token
    return tokenizer


def _model(settings: TrainSettings, device: str) -> Any:
    try:
        model = AutoModelForCausalLM.from_pretrained(settings.model_id_or_path, dtype=_dtype(settings, device))
    except (OSError, ValueError, RuntimeError) as error:
        raise _not_loaded(settings, "model", error) from None
    model.config.use_cache = False
    return model


def _not_loaded(settings: TrainSettings, what: str, error: Exception) -> TrainingError:
    reason = str(error).strip().partition("\n")[0][:300]
    return TrainingError(f"the {what} of {settings.model_id_or_path} cannot be loaded: {reason}")


def encoded_rows(samples: Sequence[Sample], tokenizer: Any) -> list[EncodedRow]:
    """The rows with the tokenizer's chat template."""

    def render(messages: Sequence[Message], *, add_generation_prompt: bool) -> list[int]:
        turns = [message._asdict() for message in messages]
        found = tokenizer.apply_chat_template(turns, add_generation_prompt=add_generation_prompt, return_dict=True)
        return list(found["input_ids"])

    end = tokenizer.eos_token_id
    return [encode(sample, sample.response or "", render, {end}, end) for sample in samples]


def _rows(run: Path, settings: TrainSettings, tokenizer: Any, say: Say) -> tuple[list[EncodedRow], list[EncodedRow]]:
    saved = find_saved(run)
    train = encoded_rows(read_samples(saved.train), tokenizer)
    val = encoded_rows(read_samples(saved.val), tokenizer) if saved.val else []
    limit = settings.max_length
    if limit is None:
        return train, val
    short_train, short_val = ([row for row in rows if len(row.input_ids) <= limit] for rows in (train, val))
    option = Setting("max_length", limit)
    if not short_train:
        raise TrainingOptionError(option, ": every row has more tokens than that")
    left_out = len(train) + len(val) - len(short_train) - len(short_val)
    if left_out:
        say(f"left out: {left_out} rows with more tokens than {option}")
    return short_train, short_val


def _dataset(rows: Sequence[EncodedRow]) -> Dataset:
    return Dataset.from_list([row._asdict() for row in rows])


def _lora(settings: TrainSettings) -> LoraConfig:
    modules = settings.lora_target_modules
    is_all = [module.upper() for module in modules] == [ALL_LINEAR]
    return LoraConfig(
        r=settings.lora_rank,
        lora_alpha=settings.lora_alpha,
        lora_dropout=settings.lora_dropout_p,
        target_modules="all-linear" if is_all else list(modules),
        task_type="CAUSAL_LM",
    )


def _is_linear(module: torch.nn.Module) -> bool:
    return isinstance(module, torch.nn.Linear)


def _arguments(run: Path, settings: TrainSettings, device: str, *, has_val: bool) -> SFTConfig:
    dtype = _dtype(settings, device)
    checkpointing = settings.gradient_checkpointing
    return SFTConfig(
        output_dir=str(run),
        per_device_train_batch_size=settings.batch_size,
        per_device_eval_batch_size=settings.batch_size,
        gradient_accumulation_steps=settings.gradient_accumulation_steps,
        learning_rate=settings.learning_rate,
        lr_scheduler_type=settings.lr_scheduler_type,
        warmup_steps=settings.warmup_ratio,  # below 1 it is a ratio
        weight_decay=settings.weight_decay,
        max_grad_norm=settings.max_grad_norm,
        num_train_epochs=settings.num_train_epochs,
        max_steps=settings.max_steps or -1,
        logging_steps=settings.logging_steps,
        save_steps=settings.save_steps,
        save_total_limit=None,  # transformers would count what export has written beside the checkpoints
        logging_nan_inf_filter=False,
        eval_strategy="steps" if has_val else "no",
        eval_steps=settings.eval_steps,
        prediction_loss_only=True,
        seed=settings.seed,
        data_seed=settings.seed,
        bf16=dtype == torch.bfloat16,
        fp16=dtype == torch.float16,
        gradient_checkpointing=device == "cuda" if checkpointing is None else checkpointing,
        use_cpu=device == "cpu",
        ddp_backend="gloo" if device == "cpu" and settings.nproc_per_node > 1 else None,
        dataloader_pin_memory=device != "cpu",
        dataset_kwargs={"skip_prepare_dataset": True},  # ids and labels are ready
        max_length=None,
        report_to="none",
        disable_tqdm=True,
    )


def _check_room(run: Path, trainer: _Trainer, settings: TrainSettings) -> None:
    """Raises `TrainingError` if the disk has too little room for the checkpoints."""
    trained = sum(each.numel() * 4 for each in trainer.model.parameters() if each.requires_grad)
    kept = (settings.save_total_limit or _KEPT_CHECKPOINTS) + 1
    needed, free = trained * _ADAM_COPIES * kept, shutil.disk_usage(run).free
    if free < needed:
        raise TrainingError(f"{kept} checkpoints in {run} need {needed_text(needed, free)}")
