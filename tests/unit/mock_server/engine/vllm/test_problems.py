from __future__ import annotations

from pathlib import Path

import pytest

from mock_server.engine.hf.reasons import last_line
from mock_server.engine.vllm.problems import root_cause, start_error

TRACEBACK = """\
2026-01-02 03:04:05,006 ERROR vllm.v1.engine.core: EngineCore failed to start.
Traceback (most recent call last):
  File "core.py", line 1, in run_engine_core
    engine_core = EngineCoreProc(*args, **kwargs)
  File "kv_cache_utils.py", line 2, in _check_enough_kv_cache_memory
    raise ValueError(
ValueError: To serve at least one request (2048), 0.09 GiB KV cache is needed, larger than the available KV cache
"""
FAILED = RuntimeError("Engine core initialization failed. See root cause above. Failed core proc(s): {}")


def problem(error: Exception, log: str, folder: Path) -> str:
    file = folder / "errors"
    if log:
        file.write_text(log)
    return str(start_error(error, file, {"model": "/models/m"}))


def test_the_cause_in_another_process_is_found_in_its_log(tmp_path: Path) -> None:
    said = problem(FAILED, TRACEBACK, tmp_path)
    assert said.startswith(
        "vLLM cannot serve /models/m: To serve at least one request (2048), 0.09 GiB KV cache is needed"
    )
    assert said.endswith("or lower --max-model-len.")


def test_without_a_log_file_the_message_points_to_the_log_above(tmp_path: Path) -> None:
    assert problem(FAILED, "", tmp_path) == (
        "vLLM cannot serve /models/m: its engine's process failed; see the log above."
    )


@pytest.mark.parametrize(
    ("message", "remedy"),
    [
        (
            "Available memory on node 0 (10.6/14.3 GiB) is less than requested memory for kv (200.0 GiB).",
            "Ask for less, such as --kv-cache-memory-bytes 1G",
        ),
        ("CUDA out of memory. Tried to allocate 2 GiB", "Ask for less, such as --kv-cache-memory-bytes 1G"),
        ("No available memory for the cache blocks.", "Give the cache more memory"),
        ("User-specified max_model_len (100000) is greater than the derived one", "Choose a shorter context"),
        ("We couldn't connect to 'https://huggingface.co' to load the files", "make sure that the hub is reachable"),
        ("Please pass the argument `trust_remote_code=True`", "--trust-remote-code true"),
        ("Cannot find the config file for gptq", "leave --quantization out"),
        (
            "torch.float32 is not supported for quantization method awq. Supported dtypes: [torch.float16]",
            "Choose one of these types with --dtype.",
        ),
        (
            "Model architecture QWenLMHeadModel was supported in vLLM until v0.23.0, and is not supported anymore.",
            "such as --model-type qwen1half-7b-chat for the first Qwen.",
        ),
    ],
)
def test_a_known_cause_has_a_remedy(message: str, remedy: str, tmp_path: Path) -> None:
    said = problem(ValueError(message), "", tmp_path)
    assert message.rstrip(".") in said
    assert remedy in said


def test_pydantics_wrapping_is_removed_and_long_messages_end_after_a_sentence(tmp_path: Path) -> None:
    story = (
        "1 validation error for ModelConfig\n  Value error, The model type `x` is not known. " + "You can try. " * 90
    )
    said = problem(ValueError(story + "[type=value_error, input_value=ArgsKwargs()]"), "", tmp_path)
    assert said.startswith("vLLM cannot serve /models/m: The model type `x` is not known. You can try.")
    assert len(said) < 500
    assert said.endswith("You can try.")


def test_the_innermost_exception_is_the_cause() -> None:
    wrapped = "OSError: disk\n\nThe above was the cause:\n\nRuntimeError: Engine core initialization failed. See above"
    assert root_cause(wrapped) == "disk"
    assert root_cause("nothing here") is None


def test_the_last_line_of_a_traceback_is_its_message() -> None:
    assert last_line("Call failed:\nTraceback\n  File x\nValueError: LoRA rank 16 is greater\n") == (
        "ValueError: LoRA rank 16 is greater"
    )
    assert last_line(" \n") == "no reason given"
