"""Why vLLM did not start, in one line with the remedy, from what it raised and what its processes logged."""

import re
from collections.abc import Mapping
from pathlib import Path
from typing import Any

_CAUSE = re.compile(r"^(?:.*?[\s:])?(?:[\w.]+\.)?(?P<kind>\w*(?:Error|Exception)): (?P<message>.+)$")
_ROOT_CAUSE_ELSEWHERE = "Engine core initialization failed"
_MAX_LENGTH = 600

_MEMORY_REMEDY = (
    "Give the cache less or the context fewer tokens: --kv-cache-memory-bytes, --max-model-len, and on a GPU"
    " --gpu-memory-utilization."
)
_REMEDIES: tuple[tuple[re.Pattern[str], str], ...] = (
    (re.compile(r"KV cache|cache blocks|kv_cache", re.IGNORECASE), _MEMORY_REMEDY),
    (re.compile(r"out of memory|not enough memory|Available memory|less than desired", re.IGNORECASE), _MEMORY_REMEDY),
    (
        re.compile(r"offline mode|couldn't connect|Cannot find|not a local folder|Repo id", re.IGNORECASE),
        "Give a folder that holds the model with --model-id-or-path, or make the hub reachable.",
    ),
    (re.compile(r"trust_remote_code", re.IGNORECASE), "If you trust the model's own code: --trust-remote-code true."),
)


def start_problem(error: BaseException, log_file: Path, arguments: Mapping[str, Any]) -> str:
    """`log_file` holds the errors that vLLM's processes logged, if they did."""
    message = str(error)
    if _ROOT_CAUSE_ELSEWHERE in message or not message:
        log = log_file.read_text(errors="replace") if log_file.exists() else ""
        message = root_cause(log) or "its engine's process failed; the log above tells why"
    message = _shortened(" ".join(message.split()))
    remedy = next((remedy for pattern, remedy in _REMEDIES if pattern.search(message)), "")
    end = "" if message.endswith((".", "!", "?")) else "."
    return f"vLLM cannot serve {arguments.get('model')}: {message}{end} {remedy}".rstrip()


def root_cause(log: str) -> str | None:
    """The last exception's message in a log of tracebacks: what was raised first is printed last but for wrappers."""
    causes = [found["message"] for line in log.splitlines() if (found := _CAUSE.match(line))]
    causes = [cause for cause in causes if _ROOT_CAUSE_ELSEWHERE not in cause]
    return causes[-1] if causes else None


def last_line(message: str) -> str:
    """What an exception that carries a traceback of another process says in the end."""
    lines = [line.strip() for line in message.strip().splitlines() if line.strip()]
    return _shortened(lines[-1]) if lines else "no reason given"


def _shortened(text: str) -> str:
    return text if len(text) <= _MAX_LENGTH else text[: _MAX_LENGTH - 1] + "…"
