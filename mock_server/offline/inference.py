"""`inference_vllm` and `inference_stream_vllm`: a list of requests in, a list of responses out, in order."""

from __future__ import annotations

import sys
import time
from collections.abc import Callable, Generator, MutableMapping, Sequence
from typing import Any, Literal, overload

from mock_server.offline.batch import RowRun
from mock_server.offline.call import Call, Requests, read_call
from mock_server.offline.engine import LocalEngine
from mock_server.offline.engine_arguments import check_at_least_one
from mock_server.offline.flushes import Flushes
from mock_server.offline.generation_config import GenerationConfig
from mock_server.offline.generation_info import write_generation_info
from mock_server.offline.lora import LoRARequest
from mock_server.offline.progress import progress_bar
from mock_server.offline.rows import FailedResponse, InferResponse
from mock_server.offline.template import Template

_MAX_FLUSH_STEPS = 10


@overload
def inference_vllm(
    engine: LocalEngine,
    template: Template,
    request_list: Requests,
    *,
    generation_config: GenerationConfig | None = None,
    generation_info: dict[str, Any] | None = None,
    max_batch_size: int | None = None,
    lora_request: LoRARequest | None = None,
    use_tqdm: bool = False,
    verbose: bool = False,
    prompt_prefix: str = "[PROMPT]",
    output_prefix: str = "[OUTPUT]",
    strict: Literal[True] = True,
) -> list[InferResponse]: ...


@overload
def inference_vllm(
    engine: LocalEngine,
    template: Template,
    request_list: Requests,
    *,
    generation_config: GenerationConfig | None = None,
    generation_info: dict[str, Any] | None = None,
    max_batch_size: int | None = None,
    lora_request: LoRARequest | None = None,
    use_tqdm: bool = False,
    verbose: bool = False,
    prompt_prefix: str = "[PROMPT]",
    output_prefix: str = "[OUTPUT]",
    strict: bool,
) -> list[InferResponse | FailedResponse]: ...


def inference_vllm(
    engine: LocalEngine,
    template: Template,
    request_list: Requests,
    *,
    generation_config: GenerationConfig | None = None,
    generation_info: dict[str, Any] | None = None,
    max_batch_size: int | None = None,
    lora_request: LoRARequest | None = None,
    use_tqdm: bool = False,
    verbose: bool = False,
    prompt_prefix: str = "[PROMPT]",
    output_prefix: str = "[OUTPUT]",
    strict: bool = True,
) -> Sequence[InferResponse | FailedResponse]:
    """Returns the response to every request, in order. Fills `generation_info` with six figures (times in seconds).

    At most `max_batch_size` rows are in the engine concurrently (None: twice as many as it computes). `verbose` writes
    each prompt and response to standard output at the end. An invalid request raises `ValueError` before anything
    runs. Rows that fail later raise `RowsFailedError`, which has the responses of the others. With `strict=False`,
    each failed row is a dict with its error, and nothing raises. An adapter that cannot be served raises
    `AdapterError`.
    """
    began = time.perf_counter()
    info = _cleared(generation_info)
    call = read_call(engine, template, request_list, generation_config, max_batch_size, lora_request, strict=strict)
    with progress_bar(len(call.runs), is_wanted=use_tqdm) as show_done:
        engine.run(call.run(_done_counter(show_done), is_streaming=False, keep_prompts=verbose))
    write_generation_info(info, call.runs, time.perf_counter() - began)
    if verbose:
        for run in call.runs:
            prompt, text = template.decode(run.prompt_token_ids), run.error or run.texts[0]
            sys.stdout.write(f"{prompt_prefix}{prompt}{output_prefix}{text}\n")
    return call.results()


@overload
def inference_stream_vllm(
    engine: LocalEngine,
    template: Template,
    request_list: Requests,
    *,
    generation_config: GenerationConfig | None = None,
    generation_info: dict[str, Any] | None = None,
    max_batch_size: int | None = None,
    lora_request: LoRARequest | None = None,
    use_tqdm: bool = False,
    flush_steps: int | None = None,
    strict: Literal[True] = True,
) -> Generator[list[InferResponse | None], None, None]: ...


@overload
def inference_stream_vllm(
    engine: LocalEngine,
    template: Template,
    request_list: Requests,
    *,
    generation_config: GenerationConfig | None = None,
    generation_info: dict[str, Any] | None = None,
    max_batch_size: int | None = None,
    lora_request: LoRARequest | None = None,
    use_tqdm: bool = False,
    flush_steps: int | None = None,
    strict: bool,
) -> Generator[list[InferResponse | FailedResponse | None], None, None]: ...


def inference_stream_vllm(
    engine: LocalEngine,
    template: Template,
    request_list: Requests,
    *,
    generation_config: GenerationConfig | None = None,
    generation_info: dict[str, Any] | None = None,
    max_batch_size: int | None = None,
    lora_request: LoRARequest | None = None,
    use_tqdm: bool = False,
    flush_steps: int | None = None,
    strict: bool = True,
) -> Generator[list[Any], None, None]:
    """Yields the whole list each time: every row's response so far, None for a row that has not begun.

    It yields when a row has gained tokens `flush_steps` times (None: the number of rows, at most 10) and when a row
    ends. `generation_info` is then up to date. Leaving the loop aborts the call. Arguments and errors are those of
    `inference_vllm`: wrong arguments raise at the call, the clock starts at the first list, and `RowsFailedError`
    follows the last list.
    """
    info = _cleared(generation_info)
    call = read_call(engine, template, request_list, generation_config, max_batch_size, lora_request, strict=strict)
    check_at_least_one("flush_steps", flush_steps)
    return _lists(call, flush_steps or max(1, min(_MAX_FLUSH_STEPS, len(call.runs))), info, use_tqdm)


def _lists(call: Call, flush_steps: int, info: dict[str, Any], use_tqdm: bool) -> Generator[list[Any], None, None]:
    began = time.perf_counter()
    flushes = Flushes(flush_steps)
    finished: dict[int, Any] = {}
    with progress_bar(len(call.runs), is_wanted=use_tqdm) as show_done:
        job = call.engine.submit(call.run(flushes.note, is_streaming=True))
        job.when_done(flushes.end)
        try:
            while flushes.wait():
                responses = [_response(run, finished) for run in call.runs]
                write_generation_info(info, call.runs, time.perf_counter() - began)
                show_done(len(finished))
                if not call.is_strict:
                    yield responses
                elif any(call.runs[number].error is None for number, shown in enumerate(responses) if shown):
                    yield [None if run.error else shown for run, shown in zip(call.runs, responses, strict=True)]
            job.result()
            if not call.runs:  # nothing was yielded
                write_generation_info(info, (), time.perf_counter() - began)
        finally:
            job.cancel()
    call.results()


def _response(run: RowRun, finished: dict[int, Any]) -> Any:
    """The row's response so far. The response of a finished row is made once."""
    if run.number in finished:
        return finished[run.number]
    is_finished = run.is_finished  # read first: a row that is finished now is complete below
    response = run.response()
    if is_finished:
        finished[run.number] = response
    return response


def _cleared(info: dict[str, Any] | None) -> dict[str, Any]:
    """Empties the caller's dict, or makes one that nobody reads."""
    if info is None:
        return {}
    if not isinstance(info, MutableMapping):
        raise TypeError(f"generation_info must be a dict to fill (got {type(info).__name__})")
    info.clear()
    return info


def _done_counter(show_done: Callable[[int], None]) -> Callable[[RowRun], None]:
    done = 0

    def count(run: RowRun) -> None:
        nonlocal done
        if run.is_finished:
            done += 1
            show_done(done)

    return count
