"""One call of the inference functions: the arguments that both share, read and checked before anything runs."""

import copy
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from .batch import Batch, RowRun
from .engine import LocalEngine
from .generation_config import GenerationConfig
from .lora import LoRARequest
from .rows import RowError, RowsFailedError, read_row
from .template import Template

Requests = Sequence[Mapping[str, Any]]


@dataclass(frozen=True, slots=True)
class Call:
    """`runs` are its rows, those that could not be read among them."""

    engine: LocalEngine
    template: Template
    runs: Sequence[RowRun]
    config: GenerationConfig
    limit: int
    lora_request: LoRARequest | None
    is_strict: bool

    async def run(self, on_change: Callable[[RowRun], None], *, is_streaming: bool, keep_prompts: bool = False) -> None:
        adapter = None if self.lora_request is None else await self.engine.adapters.load(self.lora_request)
        await Batch(
            self.engine.core,
            self.template,
            self.runs,
            self.config,
            limit=self.limit,
            is_streaming=is_streaming,
            on_change=on_change,
            adapter=adapter,
            keep_prompts=keep_prompts,
        ).run()

    def results(self) -> list[Any]:
        """Raises `RowsFailedError`."""
        results: list[Any] = [run.response() for run in self.runs]
        if self.is_strict and any(run.error is not None for run in self.runs):
            raise RowsFailedError(results)
        return results


def read_call(
    engine: LocalEngine,
    template: Template,
    request_list: Requests,
    config: GenerationConfig | None,
    max_batch_size: int | None,
    lora_request: LoRARequest | None,
    *,
    strict: bool,
) -> Call:
    """Raises `ValueError`, and `TypeError` for what is no list."""
    if isinstance(request_list, (Mapping, str)):
        raise TypeError(f"request_list must be a list of dicts (got {type(request_list).__name__})")
    check_at_least_one("max_batch_size", max_batch_size)
    runs = []
    for number, request in enumerate(request_list):
        run = RowRun(number)
        try:
            run.row = read_row(request, number, template.default_system)
        except RowError as exc:
            if strict:
                raise
            run.error = exc
        runs.append(run)
    return Call(
        engine,
        template,
        runs,
        copy.copy(config or engine.generation_config),
        max_batch_size or 2 * engine.max_num_seqs,
        lora_request,
        strict,
    )


def check_at_least_one(name: str, value: int | None) -> None:
    if value is not None and value < 1:
        raise ValueError(f"{name} must be at least 1 (got {value})")
