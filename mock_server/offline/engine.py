"""A vLLM engine in this process: made from a model type or a folder, used by plain calls, ended by `shutdown`."""

from __future__ import annotations

import atexit
import contextlib
import gc
import os
import signal
import weakref
from collections.abc import Coroutine, Iterator, Mapping
from multiprocessing import resource_tracker
from pathlib import Path
from types import TracebackType
from typing import Any, TypeVar

from mock_server.engine.base import Engine
from mock_server.engine.dtypes import dtype_name
from mock_server.engine.errors import EngineDeadError, EngineStartError
from mock_server.engine.vllm.engine import VllmEngine
from mock_server.engine.vllm.factory import missing_vllm
from mock_server.models.source import ModelSource
from mock_server.offline.engine_arguments import (
    as_keyword,
    engine_arguments,
    lora_arguments,
    read_source,
)
from mock_server.offline.generation_config import GenerationConfig
from mock_server.offline.loop_thread import Job, LoopThread
from mock_server.offline.lora import Adapters
from mock_server.offline.main_module import hidden_main

_T = TypeVar("_T")
_OF_THE_ENGINE = ("VLLM_", "TORCHDYNAMO_DISABLE")


class LocalEngine:
    """`generation_config` is the default of all calls, and may be changed. Several threads may call, with or without a
    running event loop. `shutdown`, the end of a `with` block and the end of the program end the engine.
    """

    def __init__(
        self,
        core: Engine,
        loop: LoopThread,
        *,
        tokenizer: Any,
        generation_config: GenerationConfig,
        model_dir: str,
        model_type: str | None = None,
        dtype: str = "auto",
        max_num_seqs: int = 256,
        adapters: Adapters | None = None,
    ) -> None:
        """`core` has been started on `loop`. Both end with this engine."""
        self.core = core
        self.hf_tokenizer = tokenizer
        self.generation_config = generation_config
        self.model_dir = model_dir
        self.model_type = model_type
        self.max_model_len = core.info.max_model_len
        self.dtype = dtype
        self.is_multimodal = False
        self.max_num_seqs = max_num_seqs
        self.adapters = adapters or Adapters(core, limit=0, max_rank=0)
        self._loop = loop
        self._process_id = os.getpid()
        # has no reference to self, so it also runs when the engine is garbage-collected
        self._end = weakref.finalize(self, _end, core, loop, self._process_id)
        # registered last, it runs first when the program ends: multiprocessing would wait forever for vLLM's processes
        self._end.atexit = False
        atexit.register(self._end)

    def submit(self, work: Coroutine[Any, Any, _T]) -> Job[_T]:
        """Runs the work on the engine's event loop. Raises `EngineDeadError` after the shutdown."""
        if not self._end.alive or os.getpid() != self._process_id:
            work.close()
            reason = "was shut down" if not self._end.alive else "runs in the process that this one was forked from"
            raise EngineDeadError(f"the engine {reason}: make another one with get_vllm_engine")
        return self._loop.submit(work)

    def run(self, work: Coroutine[Any, Any, _T]) -> _T:
        return self.submit(work).result()

    def shutdown(self) -> None:
        """Aborts all calls and frees the device. Safe to call twice."""
        self._end()
        atexit.unregister(self._end)

    def __reduce__(self) -> Any:
        raise TypeError("an engine lives in one process and cannot be pickled: make one there with get_vllm_engine")

    def __enter__(self) -> LocalEngine:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, traceback: TracebackType | None
    ) -> None:
        self.shutdown()

    def __repr__(self) -> str:
        state = "" if self._end.alive else ", shut down"
        return f"<LocalEngine {self.model_type or self.model_dir} in {self.dtype}{state}>"


def _end(core: Engine, loop: LoopThread, process_id: int) -> None:
    if os.getpid() != process_id:  # a fork does not have the thread
        return
    if loop.is_current():  # garbage-collected there: the thread cannot wait for itself
        loop.submit(core.stop())
        return
    loop.run(core.stop())
    loop.close()
    gc.collect()  # objects of vLLM that live until the interpreter ends log complaints


def get_vllm_engine(
    model_type: str | None,
    torch_dtype: Any = None,
    *,
    model_id_or_path: str | os.PathLike[str] | None = None,
    revision: str | None = None,
    gpu_memory_utilization: float | None = None,
    tensor_parallel_size: int = 1,
    max_num_seqs: int = 256,
    max_model_len: int | None = None,
    disable_custom_all_reduce: bool = True,
    enforce_eager: bool = False,
    limit_mm_per_prompt: Mapping[str, Any] | None = None,
    distributed_executor_backend: str | None = None,
    engine_kwargs: Mapping[str, Any] | None = None,
    use_async: bool = False,
    enable_lora: bool = False,
    max_loras: int = 1,
    max_lora_rank: int = 16,
    lora_self_test: bool = True,
) -> LocalEngine:
    """Loads a model, which takes a while. `model_type` is one of `ModelType`, or None if `model_id_or_path`, a folder
    or hub id, is enough. `torch_dtype` is a torch dtype or its name.

    If `gpu_memory_utilization` is None, vLLM takes its own default share of a GPU's memory, and a modest cache on
    CPUs. `engine_kwargs` are any other arguments of vLLM's engine. Raises `ValueError` for arguments that contradict
    each other, `ImportError` for missing packages, and `EngineStartError` if vLLM cannot serve the model.
    """
    source = read_source(model_type, None if model_id_or_path is None else os.fspath(model_id_or_path))
    named = {
        "dtype": None if torch_dtype is None else dtype_name(torch_dtype),
        "revision": revision,
        "gpu_memory_utilization": gpu_memory_utilization,
        "tensor_parallel_size": tensor_parallel_size,
        "max_num_seqs": max_num_seqs,
        "max_model_len": max_model_len,
        "disable_custom_all_reduce": disable_custom_all_reduce,
        "enforce_eager": enforce_eager,
        "limit_mm_per_prompt": limit_mm_per_prompt,
        "distributed_executor_backend": distributed_executor_backend,
        **(lora_arguments(max_loras=max_loras, max_rank=max_lora_rank) if enable_lora else {}),
    }
    arguments = engine_arguments({"model": source.path, **named}, engine_kwargs or {})
    if use_async:
        raise ValueError(
            "use_async=True would give an engine for servers: leave it out and call inference_vllm in a thread, or"
            " serve the model with python -m mock_server and call it with inference_client_async"
        )
    problem = missing_vllm()
    if problem is not None:
        raise ImportError(problem)
    return _started(VllmEngine(arguments, check_adapters=lora_self_test), source, max_num_seqs)


def _started(core: VllmEngine, source: ModelSource, max_num_seqs: int) -> LocalEngine:
    """Raises `EngineStartError`."""
    loop = LoopThread("vllm engine")
    try:
        with hidden_main(), _own_environment():
            loop.run(_start_unheard(core))
    except BaseException as error:
        _end(core, loop, os.getpid())
        if isinstance(error, EngineStartError):
            raise EngineStartError(_explained(error, source)) from error.__cause__
        raise
    facts = core.facts
    return LocalEngine(
        core,
        loop,
        tokenizer=core.tokenizer,
        generation_config=GenerationConfig.of_model(facts.sampling_defaults),
        model_dir=source.path,
        model_type=source.type.name if source.type is not None else None,
        dtype=facts.dtype,
        max_num_seqs=max_num_seqs,
        adapters=Adapters(core, limit=facts.adapter_limit, max_rank=facts.max_adapter_rank),
    )


async def _start_unheard(core: Engine) -> None:
    """Starts the engine with SIGINT blocked: a terminal sends Ctrl-C to all its processes, and it would end vLLM's when
    the program only aborts a call. Threads and processes started from this thread inherit its blocked signals.
    """
    resource_tracker.ensure_running()  # otherwise the first process starts it, which unblocks the signal
    signal.pthread_sigmask(signal.SIG_BLOCK, {signal.SIGINT})
    await core.start()


def _explained(error: EngineStartError, source: ModelSource) -> str:
    """A misspelt folder looks like a hub id. vLLM's message is then about a download, so this adds an explanation."""
    words = error.spelled(as_keyword)
    is_named = source.type is None or source.path != source.type.hub_id
    if not is_named or Path(source.path).exists():
        return words
    return f"There is no folder {source.path} here; as a hub id: {words}"


@contextlib.contextmanager
def _own_environment() -> Iterator[None]:
    """Removes variables that the engine sets for its own processes: another engine may need other values."""
    before = set(os.environ)
    try:
        yield
    finally:
        for name in set(os.environ) - before:
            if name.startswith(_OF_THE_ENGINE):
                del os.environ[name]
