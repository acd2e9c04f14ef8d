"""Reads the options of a model and of `deploy`: which engine, under which names, with which arguments."""

from __future__ import annotations

import dataclasses
import json
from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from mock_server.commands.engine_choice import MODEL_OPTIONS, choose_engine, kind_of
from mock_server.commands.engine_options import read_options
from mock_server.commands.wrong_use import DeployError
from mock_server.engine.kind import ServedModel, needs_model
from mock_server.engine.options import CommonOptions
from mock_server.engine.wording import Setting
from mock_server.http.host_names import is_loopback, name_of
from mock_server.http.root_path import checked_root_path
from mock_server.models.source import ModelSource, ModelSourceError, find_model, simulated_name
from mock_server.models.templates import TemplateError, find_template, read_template
from mock_server.request_limits import RequestLimits
from mock_server.settings import Cors, ServerSettings

Options = Mapping[str, Any]

_CHAT_OPTIONS = (
    "chat_template", "template_type", "system", "tool_call_parser", "enable_auto_tool_choice", "reasoning_parser",
)  # fmt: skip


@dataclass(frozen=True, slots=True)
class Deployment:
    """What is served, by `deploy` or inside another command."""

    engine: str
    settings: ServerSettings
    model: ServedModel
    options: CommonOptions
    """They have the engine's own type."""


def read_deployment(options: Options, said: Collection[str], engines_of: Mapping[str, Collection[str]]) -> Deployment:
    """`said` are the options that were given; `engines_of` has the engines of each option.

    Raises `DeployError` and `EngineOptionError`.
    """
    _check_address(said)
    model = read_model(options, said, engines_of)
    return dataclasses.replace(model, settings=_server_settings(options, model))


def read_model(options: Options, said: Collection[str], engines_of: Mapping[str, Collection[str]]) -> Deployment:
    """The same without the options of the server: their settings have their defaults. The server's names of the model
    are used if they are given.

    Raises `DeployError` and `EngineOptionError`.
    """
    engine = choose_engine(options)
    for name in said:
        if engines_of.get(name) and engine not in engines_of[name]:
            *others, last = engines_of[name]
            wanted = Setting("engine", " or ".join([", ".join(others), last] if others else [last]))
            this = Setting("engine", engine)
            raise DeployError(Setting(name), " is for ", wanted, "; this is ", this)
    _check_chat(options, said)
    source = _source(options, engine)
    settings = _model_settings(options, engine, source)
    return Deployment(engine, settings, _model(options, settings, source), read_options(engine, options))


def _check_address(said: Collection[str]) -> None:
    for name in ("host", "port"):
        if "uds" in said and name in said:
            raise DeployError(
                Setting("uds"), " and ", Setting(name), " cannot be combined: the server listens on one of them"
            )


def _check_chat(options: Options, said: Collection[str]) -> None:
    """Refuses options that would have no effect."""
    for name in said:
        if options["no_chat"] and name in _CHAT_OPTIONS and options[name] is not False:
            raise DeployError(
                Setting("no_chat"),
                " serves completions only, where ",
                Setting(name),
                " has no effect: leave one out",
            )
    if options["enable_auto_tool_choice"] is False and options["tool_call_parser"] is not None:
        raise DeployError(
            Setting("enable_auto_tool_choice", False),
            " leaves ",
            Setting("tool_call_parser"),
            " without effect: leave one out",
        )


def _source(options: Options, engine: str) -> ModelSource | None:
    if not kind_of(engine).runs_models:
        return None
    try:
        source = find_model(**{name: options[name] for name in MODEL_OPTIONS})
    except ModelSourceError as error:
        raise DeployError(*error.parts) from None
    if source is None:
        raise DeployError(*needs_model(engine))
    if source.adapter is not None and options["enable_lora"] is False:
        raise DeployError(
            Setting("ckpt_dir", source.adapter.path),
            " is an adapter, and ",
            Setting("enable_lora"),
            " is false: leave that out, or merge the adapter into its base model first",
        )
    return source


def _model_settings(options: Options, engine: str, source: ModelSource | None) -> ServerSettings:
    is_chat = source.type.is_chat if source is not None and source.type is not None else None
    default_name: str | None
    if source is not None:
        default_name, adapter = source.name, source.adapter
    else:
        default_name, adapter = simulated_name(**{name: options[name] for name in MODEL_OPTIONS})
    named_adapter = [] if adapter is None else [adapter]
    tool_format = _tool_format(options, engine)
    try:
        return ServerSettings(
            model_names=options.get("served_model_name")
            or (default_name or ("sim-base" if options["no_chat"] else "sim-chat"),),
            is_chat=False if options["no_chat"] else is_chat,
            adapters=(*options["lora_modules"], *named_adapter),
            model_path=source.path if source is not None else "",
            system=options["system"],
            stop_strings=options["stop_words"],
            tool_format=tool_format,
            reasoning_format=options["reasoning_parser"],
        )
    except ValueError as error:
        raise DeployError(str(error)) from None


def _server_settings(options: Options, model: Deployment) -> ServerSettings:
    """Raises `DeployError`."""
    return dataclasses.replace(
        model.settings,
        api_keys=options["api_key"],
        owned_by=options["owned_by"],
        runtime_adapters=bool(options["runtime_lora"]),
        log_interval_s=options["log_interval"],
        log_requests=options["verbose"],
        max_body_bytes=options["max_body_size"],
        max_head_bytes=options["max_header_size"],
        read_timeout_s=options["read_timeout"],
        max_connections=options["max_connections"] or 0,
        max_half_open=options["max_half_open"] or (options["max_connections"] or 0) // 2,
        max_body_memory=options["max_body_memory"],
        allowed_hosts=_allowed_hosts(options),
        max_requests=options["max_requests"],
        limits=RequestLimits(
            choices=options["max_choices"],
            choices_in_progress=options["max_choices_in_progress"],
            answer_tokens=options["max_answer_tokens"],
            schema_characters=options["max_schema_size"],
        ),
        root_path=_root_path(options),
        require_model=options["require_model"],
        cors=_cors(options),
    )


def _root_path(options: Options) -> str:
    """Raises `DeployError`."""
    try:
        return checked_root_path(options["root_path"] or "")
    except ValueError as error:
        raise DeployError(str(error), about=["root_path"]) from None


def _tool_format(options: Options, engine: str) -> str | None:
    """Raises `DeployError`."""
    is_real = kind_of(engine).runs_models
    if options["enable_auto_tool_choice"] and options["tool_call_parser"] is None and is_real:
        raise DeployError(
            Setting("enable_auto_tool_choice"),
            " needs ",
            Setting("tool_call_parser"),
            ", the format in which the model writes calls",
        )
    if options["enable_auto_tool_choice"] is False:
        return ""
    found: str | None = options["tool_call_parser"]
    return found


def _cors(options: Options) -> Cors | None:
    """Raises `DeployError` for options about pages if no page may call."""
    if options["allowed_origins"]:
        return Cors(
            origins=_any_or_some(options["allowed_origins"]),
            methods=tuple(method.upper() for method in _any_or_some(options["allowed_methods"])),
            headers=_any_or_some(options["allowed_headers"]),
            credentials=options["allow_credentials"],
        )
    for name in ("allowed_methods", "allowed_headers", "allow_credentials"):
        if options[name]:
            raise DeployError(
                Setting(name), " needs ", Setting("allowed_origins"), ", which names the pages that may call"
            )
    return None


def _any_or_some(values: Sequence[str]) -> tuple[str, ...]:
    """Values one by one, or a JSON list as vLLM takes it."""
    if len(values) == 1 and values[0].startswith("["):
        try:
            values = json.loads(values[0])
        except ValueError as error:
            raise DeployError(f"{values[0]!r} is not a JSON list: {error}") from None
    return tuple(values) or ("*",)


def _allowed_hosts(options: Options) -> tuple[str, ...]:
    """Names besides loopback names. By default, any name on a Unix socket or where other machines may connect."""
    if options["allowed_hosts"]:
        return _any_or_some(options["allowed_hosts"])
    on_loopback = options["uds"] is None and is_loopback(name_of(options["host"]))
    return () if on_loopback else ("*",)


def _model(options: Options, settings: ServerSettings, source: ModelSource | None) -> ServedModel:
    """Raises `DeployError`."""
    name = settings.model_names[0]
    if source is None:
        return ServedModel(name)
    try:
        template = read_template(options["chat_template"]) if options["chat_template"] else None
        if options["template_type"]:
            if template is not None:
                raise DeployError(
                    Setting("chat_template"),
                    " and ",
                    Setting("template_type"),
                    " both name a chat template: keep one of them",
                )
            template = find_template(options["template_type"])
        fallback = find_template(source.type.template) if source.type and source.type.template else None
    except TemplateError as error:
        raise DeployError(*error.parts) from None
    return ServedModel(name, source.path, template, fallback, settings.adapters)
