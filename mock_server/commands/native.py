"""`deploy --engine native`: replaces this process with `vllm serve`, for features that this server lacks."""

from __future__ import annotations

import json
import os
import shutil
import sys
from collections.abc import Collection, Mapping, Sequence
from pathlib import Path
from typing import Any, NoReturn

from mock_server.commands.deployment import Deployment
from mock_server.commands.engine_choice import NATIVE
from mock_server.commands.wrong_use import DeployError
from mock_server.engine.errors import EngineStartError
from mock_server.engine.vllm.factory import lora_arguments, missing_vllm
from mock_server.engine.vllm.options import VllmOptions
from mock_server.engine.wording import Setting

OURS = (
    "owned_by", "log_interval", "verbose", "shutdown_timeout", "until_stdin_closes", "system", "stop_words",
    "runtime_lora", "lora_self_test", "no_chat", "max_requests", "max_body_size", "max_header_size", "read_timeout",
    "require_model", "log_format", "max_choices", "max_choices_in_progress", "max_answer_tokens", "max_schema_size",
    "max_connections", "max_half_open", "max_body_memory", "allowed_hosts",
)  # fmt: skip
"""Options without a counterpart in vllm serve."""
AS_THEY_ARE = (
    "ssl_keyfile", "ssl_certfile", "uds", "root_path", "allowed_origins", "allowed_methods", "allowed_headers",
    "allow_credentials", "tool_call_parser", "enable_auto_tool_choice", "reasoning_parser",
)  # fmt: skip
"""Options that vllm serve has under the same name. Those with several values are JSON there."""


def exec_vllm_serve(options: Mapping[str, Any], said: Collection[str], deployment: Deployment) -> NoReturn:
    """Raises `DeployError` for options that only this server has, `EngineStartError` without vLLM."""
    for name in said:
        if name in OURS:
            raise DeployError(Setting(name), " is not an option of vllm serve: leave it out")
    if len(deployment.settings.api_keys) > 1 and options["api_key_file"] is not None:
        raise DeployError(
            Setting("api_key_file", options["api_key_file"]),
            ": vllm serve takes several keys only as arguments, which every user of this machine can read. Keep"
            " one key, or use ",
            Setting("engine", "vllm"),
            ".",
        )
    problem = missing_vllm()
    program = _vllm_program()
    if problem or program is None:
        native, vllm = Setting("engine", NATIVE), Setting("engine", "vllm")
        without_command = (native, ": vLLM is installed without its command; ", vllm, " works")
        raise EngineStartError(*([problem] if problem else without_command))
    sys.stdout.flush()
    os.environ.update(key_variable(deployment.settings.api_keys))
    arguments = vllm_serve_arguments(options, deployment)
    os.execv(program, [program, *arguments])  # noqa: S606 - to become that program is the point


def _vllm_program() -> str | None:
    """The command next to this Python, else on the path."""
    beside = Path(sys.executable).with_name("vllm")
    return str(beside) if beside.exists() else shutil.which("vllm")


def key_variable(keys: Sequence[str]) -> dict[str, str]:
    """vllm serve takes one key from the environment, where no list of processes shows it."""
    return {"VLLM_API_KEY": keys[0]} if len(keys) == 1 else {}


def vllm_serve_arguments(options: Mapping[str, Any], deployment: Deployment) -> list[str]:
    settings, model, given = deployment.settings, deployment.model, deployment.options
    if not isinstance(given, VllmOptions):
        raise TypeError(f"vllm serve takes the options of vLLM, not {type(given).__name__}")
    arguments = ["serve", model.path]
    if options["uds"] is None:
        arguments += ["--host", options["host"], "--port", str(options["port"])]
    arguments += ["--served-model-name", *settings.model_names]
    if len(settings.api_keys) > 1:
        arguments += ["--api-key", *settings.api_keys]
    if settings.adapters:
        arguments += ["--lora-modules", *(f"{adapter.name}={adapter.path}" for adapter in settings.adapters)]
    named = {name: options[name] for name in AS_THEY_ARE if options[name]} | {"chat_template": model.chat_template}
    for name, value in {**named, **given.engine_arguments(), **lora_arguments(model, given)}.items():
        arguments += _argument(name, value)
    return arguments


def _argument(name: str, value: Any) -> list[str]:
    flag = "--" + name.replace("_", "-")
    if value is None:
        return []
    if isinstance(value, bool):
        return [flag if value else f"--no-{flag[2:]}"]
    return [flag, json.dumps(value) if isinstance(value, (dict, list, tuple)) else str(value)]
