"""Explains in one line why vLLM did not start, with the remedy, from its exception and its processes' log."""

from __future__ import annotations

import re
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from mock_server.engine.errors import EngineStartError
from mock_server.engine.hf.reasons import shortened
from mock_server.engine.wording import Part, Setting

_CAUSE = re.compile(r"^(?:.*?[\s:])?(?:[\w.]+\.)?(?P<kind>\w*(?:Error|Exception)): (?P<message>.+)$")
_ROOT_CAUSE_ELSEWHERE = "Engine core initialization failed"
_PYDANTIC = re.compile(r"^\d+ validation errors? for \w+ (?:Value error, )?|\[type=.*$")

_MEMORY_SHARE = Setting("gpu_memory_utilization")
_REMEDIES: tuple[tuple[re.Pattern[str], tuple[Part, ...]], ...] = (
    (
        re.compile(r"larger than the available KV cache|No available memory for the cache|KV cache is needed", re.I),
        (
            "Give the cache more memory with ",
            Setting("kv_cache_memory_bytes"),
            " or ",
            _MEMORY_SHARE,
            ", or lower ",
            Setting("max_model_len"),
            ".",
        ),
    ),
    (
        re.compile(r"less than (?:requested|desired)|out of memory|not enough memory|Free memory", re.I),
        (
            "Ask for less, such as ",
            Setting("kv_cache_memory_bytes", 2**30, "1G"),
            ", or a smaller ",
            _MEMORY_SHARE,
            ".",
        ),
    ),
    (
        re.compile(r"max_model_len|max seq len", re.I),
        ("Choose a shorter context with ", Setting("max_model_len"), "."),
    ),
    (
        re.compile(r"not supported for quantization method", re.I),
        ("Choose one of these types with ", Setting("dtype"), "."),
    ),
    (
        re.compile(r"was supported in vLLM until", re.I),
        (
            "Or use a newer model of its family, such as ",
            Setting("model_type", "qwen1half-7b-chat"),
            " for the first Qwen.",
        ),
    ),
    (
        re.compile(r"config file for \w+|quantization", re.I),
        (
            "The model's files must be quantized in that way: leave ",
            Setting("quantization"),
            " out to let the files decide.",
        ),
    ),
    (
        re.compile(r"offline mode|couldn't connect|Cannot find|cached snapshot|local folder|Repo id", re.I),
        (
            "Name a folder that contains the model with ",
            Setting("model_id_or_path"),
            ", or make sure that the hub is reachable.",
        ),
    ),
    (
        re.compile(r"trust_remote_code", re.I),
        ("If you trust the model's code, add ", Setting("trust_remote_code", True), "."),
    ),
)


def start_error(error: BaseException, log_file: Path, arguments: Mapping[str, Any]) -> EngineStartError:
    """`log_file` has the errors that vLLM's processes logged, if any."""
    message = str(error)
    if _ROOT_CAUSE_ELSEWHERE in message or not message:
        log = log_file.read_text(errors="replace") if log_file.exists() else ""
        message = root_cause(log) or "its engine's process failed; see the log above"
    message = _PYDANTIC.sub("", " ".join(message.split())).strip()
    remedy = next((remedy for pattern, remedy in _REMEDIES if pattern.search(message)), ())
    message = shortened(message)
    end = "" if message.endswith((".", "!", "?", "…")) else "."
    problem = f"vLLM cannot serve {arguments.get('model')}: {message}{end}"
    return EngineStartError(f"{problem} ", *remedy) if remedy else EngineStartError(problem)


def root_cause(log: str) -> str | None:
    """The last message in a log of tracebacks that is not a wrapper's: the first exception is printed last."""
    causes = [found["message"] for line in log.splitlines() if (found := _CAUSE.match(line))]
    causes = [cause for cause in causes if _ROOT_CAUSE_ELSEWHERE not in cause]
    return causes[-1] if causes else None
