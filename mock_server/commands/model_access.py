"""Where a command that talks to a model finds it: in this process, by the options of a model, or on a running server.

A command has `access_options`, reads them with `read_access`, and talks to the `Endpoint` of `reach` as to any server.
"""

from __future__ import annotations

import contextlib
import dataclasses
import os
from collections.abc import Callable, Collection, Iterator, Mapping
from dataclasses import dataclass
from typing import Any, TypeVar

import click
from click.core import ParameterSource

from mock_server.commands.arguments import EngineOption, Section
from mock_server.commands.deployment import Deployment, read_model
from mock_server.commands.engine_choice import MODEL_OPTIONS, NATIVE, choose_engine
from mock_server.commands.model_options import model_option_names, model_options
from mock_server.commands.wrong_use import DeployError, WrongUseError
from mock_server.embedded.endpoint import Endpoint
from mock_server.engine.errors import EngineError, EngineOptionError
from mock_server.engine.registry import make_engine
from mock_server.engine.wording import Setting
from mock_server.models.source import DEFAULT_ADAPTER
from mock_server.process.listener import ListenError
from streamgauge.nearest import did_you_mean

_F = TypeVar("_F", bound=Callable[..., Any])

_URL_VARIABLE = "OPENAI_BASE_URL"  # as in sdk.environment
_PER_REQUEST = {
    "max_new_tokens": "max_tokens",
    "temperature": "temperature",
    "top_p": "top_p",
    "top_k": "top_k",
    "repetition_penalty": "repetition_penalty",
    "seed": "seed",
    "stop_words": "stop",
}
"""Options that become fields of each request where no engine in this process has them as defaults."""
_SENT = frozenset({*_PER_REQUEST, "do_sample"})
_NAMES_THE_MODEL = "model_id_or_path"

_server = Section("Running server")
SERVER = (
    _server(
        "--base-url",
        metavar="URL",
        help=f"Talk to this server instead of loading a model. [default: ${_URL_VARIABLE} if no model is named]",
    ),
    _server("--api-key", metavar="KEY", help="Key for that server. [default: $OPENAI_API_KEY]"),
    _server(
        "--served-model",
        metavar="NAME",
        help=f"Model or adapter that answers. [default: {DEFAULT_ADAPTER} if there is one, else the model]",
    ),
)


def access_options(command: _F) -> _F:
    for option in reversed([*model_options(), *SERVER]):
        command = option(command)
    return command


@dataclass(frozen=True, slots=True)
class RunningServer:
    """A server that was not started by this command. None: what the environment names."""

    base_url: str | None
    api_key: str | None
    model: str | None
    system: str | None
    request_fields: Mapping[str, Any]


@dataclass(frozen=True, slots=True)
class OwnModel:
    """A model that this command runs in its own process."""

    deployment: Deployment
    model: str
    request_fields: Mapping[str, Any]


def read_access(ctx: click.Context) -> RunningServer | OwnModel:
    """Raises `WrongUseError`."""
    options, params = ctx.params, ctx.command.params
    said = [name for name in options if ctx.get_parameter_source(name) is not ParameterSource.DEFAULT]
    engines_of = {param.name or "": param.engines for param in params if isinstance(param, EngineOption)}
    names_no_model = not any(name in said for name in (*MODEL_OPTIONS, "engine", "infer_backend"))
    try:
        if options["base_url"] is not None or (names_no_model and os.environ.get(_URL_VARIABLE, "").strip()):
            return _running_server(options, said)
        _check_own(options, names_no_model)
        engine = choose_engine(options)
        sent = [name for name in said if name in _SENT and engine not in (engines_of[name] or (engine,))]
        deployment = read_model(options, [name for name in said if name not in sent], engines_of)
        fields = _request_fields(options, sent)
        return OwnModel(deployment, _who_answers(deployment, options["served_model"]), fields)
    except (DeployError, EngineOptionError) as error:
        raise WrongUseError(str(error)) from None


def _running_server(options: Mapping[str, Any], said: list[str]) -> RunningServer:
    """Raises `DeployError` for options that only a model in this process could follow."""
    followed = {*_SENT, "system", _NAMES_THE_MODEL}
    for name in said:
        if name in model_option_names() - followed:
            raise DeployError(
                Setting(name), " has no effect on the running server of ", Setting("base_url"), ": leave one out"
            )
    by_path, by_name = options[_NAMES_THE_MODEL], options["served_model"]
    if by_path is not None and by_name is not None and by_path != by_name:
        raise DeployError(
            Setting(_NAMES_THE_MODEL, by_path), " and ", Setting("served_model", by_name), " differ: leave one out"
        )
    fields = _request_fields(options, [name for name in said if name in _SENT])
    return RunningServer(options["base_url"], options["api_key"], by_name or by_path, options["system"], fields)


def _request_fields(options: Mapping[str, Any], names: Collection[str]) -> dict[str, Any]:
    fields = {_PER_REQUEST[name]: options[name] for name in names if name in _PER_REQUEST}
    if "do_sample" in names and options["do_sample"] is False:
        fields["temperature"] = 0.0
    return fields


def _check_own(options: Mapping[str, Any], names_no_model: bool) -> None:
    """Raises `DeployError`."""
    if names_no_model:
        ways = [*map(Setting, MODEL_OPTIONS), Setting("base_url")]
        raise DeployError(
            "there is no model to talk to: name one with ",
            *(ways[0], ", ", ways[1], " or ", ways[2], ", a running server with ", ways[3]),
            ", or simulate one with ",
            Setting("engine", "sim"),
        )
    if options["api_key"] is not None:
        raise DeployError(Setting("api_key"), " needs ", Setting("base_url"), ", the server that it is for")
    if options["engine"] == NATIVE:
        raise DeployError(
            Setting("engine", NATIVE), " is a server of its own: use ", Setting("engine", "vllm"), " here"
        )


def _who_answers(deployment: Deployment, wanted: str | None) -> str:
    """Raises `DeployError`."""
    settings = deployment.settings
    names = [*settings.model_names, *(adapter.name for adapter in settings.adapters)]
    if wanted is None:
        return DEFAULT_ADAPTER if DEFAULT_ADAPTER in names else names[0]
    if wanted not in names:
        hint = did_you_mean(wanted, names)
        raise DeployError(Setting("served_model", wanted), f" is not served; there are: {', '.join(names)}.{hint}")
    return wanted


@contextlib.contextmanager
def reach(access: RunningServer | OwnModel) -> Iterator[Endpoint]:
    """The endpoint, which a model in this process has until the block ends. Loading the model takes a while.

    Raises `ClickException` if the model cannot be served.
    """
    if isinstance(access, RunningServer):
        yield Endpoint(access.base_url, access.api_key, access.model, access.system, access.request_fields)
        return
    from mock_server.embedded.server import EmbeddedServer  # imports the whole server

    deployment, system = access.deployment, access.deployment.settings.system
    with contextlib.ExitStack() as stack:
        try:
            engine = make_engine(deployment.engine, deployment.model, deployment.options)
            settings = dataclasses.replace(deployment.settings, system=None)  # callers send it: they may change it
            server = stack.enter_context(EmbeddedServer(engine, settings))
        except EngineOptionError as error:
            raise WrongUseError(str(error)) from None
        except (EngineError, ListenError) as error:
            raise click.ClickException(str(error)) from None
        yield Endpoint(server.base_url, server.api_key, access.model, system, access.request_fields, check=server.check)
