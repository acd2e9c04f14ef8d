"""Explains in one line why a model was not loaded, with the remedy."""

from __future__ import annotations

import re

from mock_server.engine.errors import EngineStartError
from mock_server.engine.hf.reasons import shortened
from mock_server.engine.wording import Part, Setting

_ELSEWHERE: tuple[Part, ...] = ("If vLLM can run it, use ", Setting("infer_backend", "vllm"), ".")
_REMEDIES: tuple[tuple[re.Pattern[str], tuple[Part, ...]], ...] = (
    (
        re.compile(r"trust_remote_code|contains custom code", re.I),
        ("If you trust the model's code, add ", Setting("trust_remote_code", True), "."),
    ),
    (
        re.compile(r"out of memory|not enough memory|can't allocate memory", re.I),
        ("Use a smaller model, or ", Setting("dtype", "bfloat16"), "."),
    ),
    (
        re.compile(
            r"offline mode|couldn't connect|Cannot find|cached snapshot|local folder|Repo id|cannot find the", re.I
        ),
        (
            "Name a folder that contains the model with ",
            Setting("model_id_or_path"),
            ", or make sure that the hub is reachable.",
        ),
    ),
    (re.compile(r"quantiz|gptq|awq|compressed.tensors|bitsandbytes", re.I), _ELSEWHERE),
    (
        re.compile(r"does not recognize this architecture|unrecognized (configuration|model)|model type", re.I),
        _ELSEWHERE,
    ),
)


def start_error(error: BaseException, model: str) -> EngineStartError:
    message = " ".join(str(error).split()) or type(error).__name__
    remedy = next((remedy for pattern, remedy in _REMEDIES if pattern.search(message)), ())
    message = shortened(message)
    end = "" if message.endswith((".", "!", "?", "…")) else "."
    problem = f"transformers cannot serve {model}: {message}{end}"
    return EngineStartError(f"{problem} ", *remedy) if remedy else EngineStartError(problem)
