"""One call of the inference functions: reads and checks the arguments that both share before anything runs."""

from __future__ import annotations

import copy
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from mock_server.offline.batch import Batch, RowRun
from mock_server.offline.engine import LocalEngine
from mock_server.offline.engine_arguments import check_at_least_one
from mock_server.offline.generation_config import GenerationConfig
from mock_server.offline.lora import LoRARequest
from mock_server.offline.rows import RowError, RowsFailedError, read_row
from mock_server.offline.template import Template

Requests = Sequence[Mapping[str, Any]]


@dataclass(frozen=True, slots=True)
class Call:
    """`runs` has an entry for every row, even if the row could not be read."""

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
        first = next((run.error for run in self.runs if run.error is not None), None)
        if self.is_strict and first is not None:
            raise RowsFailedError(results) from first
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
    """Raises `ValueError`, and `TypeError` for arguments of wrong types."""
    _check_types(engine, template, request_list, config, lora_request)
    check_at_least_one("max_batch_size", max_batch_size)
    runs = []
    for number, request in enumerate(request_list):
        run = RowRun(number)
        try:
            run.row = read_row(request, number, template.default_system)
        except RowError as error:
            if strict:
                raise
            run.error = error
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


def _check_types(engine: Any, template: Any, requests: Any, config: Any, lora_request: Any) -> None:
    """Raises `TypeError` for arguments that would fail later with a message that does not name them."""
    is_adapter = lora_request is None or (hasattr(lora_request, "lora_name") and hasattr(lora_request, "lora_path"))
    is_list = isinstance(requests, Iterable) and not isinstance(requests, (Mapping, str))
    for name, value, is_right, wanted in (
        ("engine", engine, isinstance(engine, LocalEngine), "an engine from get_vllm_engine"),
        ("template", template, isinstance(template, Template), "a template from get_template"),
        ("request_list", requests, is_list, "a list of dicts"),
        ("generation_config", config, config is None or isinstance(config, GenerationConfig), "a GenerationConfig"),
        ("lora_request", lora_request, is_adapter, "a LoRARequest(name, number, folder)"),
    ):
        if not is_right:
            raise TypeError(f"{name} must be {wanted} (got {type(value).__name__})")
