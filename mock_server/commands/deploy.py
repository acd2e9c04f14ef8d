"""`deploy`: serve a model until stopped."""

from __future__ import annotations

import contextlib
import os
from typing import Any

import click
from click.core import ParameterSource

from mock_server.commands.api_keys import read_keys
from mock_server.commands.arguments import EngineOption, OptionsCommand
from mock_server.commands.certificate import check_certificate
from mock_server.commands.config_file import with_source
from mock_server.commands.deploy_options import deploy_options
from mock_server.commands.deployment import Deployment, read_deployment
from mock_server.commands.engine_choice import NATIVE, kind_of
from mock_server.commands.native import exec_vllm_serve
from mock_server.commands.ready_line import only_line_on_stdout
from mock_server.commands.wrong_use import DeployError, WrongUseError
from mock_server.engine.errors import EngineError, EngineOptionError
from mock_server.engine.registry import make_engine
from mock_server.logs.output import logs_json
from mock_server.logs.stray_output import stray_lines_as_json
from mock_server.process.descriptors import connection_limit
from mock_server.process.listener import Listener, ListenError
from mock_server.process.unix_listener import UnixListener
from streamgauge.option_sections import CONTEXT


@click.command(
    cls=OptionsCommand,
    context_settings=CONTEXT,
    epilog="A switch without a value is true. Options with ... take several values: in a row or repeatedly.",
)
@deploy_options
@click.pass_context
def deploy(ctx: click.Context, /, **options: Any) -> None:
    """Serve a model over OpenAI's API.

    If you name a model, vLLM runs it. Otherwise a simulated engine answers. When the server is ready, it prints one
    line on standard output: ready URL model=NAMES engine=NAME profile=NAME. Logs go to standard error.
    """
    said = [name for name in options if ctx.get_parameter_source(name) is not ParameterSource.DEFAULT]
    engines_of = {param.name or "": param.engines for param in deploy.params if isinstance(param, EngineOption)}
    try:
        options["api_key"] = read_keys(options["api_key"], options["api_key_file"], os.environ)
        options["max_connections"] = _connection_limit(options["max_connections"])
        deployment = read_deployment(options, said, engines_of)
        check_certificate(options["ssl_certfile"], options["ssl_keyfile"])
        if deployment.engine == NATIVE:
            exec_vllm_serve(options, said, deployment)
        _serve(deployment, options)
    except (DeployError, EngineOptionError) as error:
        raise WrongUseError(with_source(error, ctx)) from None
    except (ListenError, EngineError) as error:
        raise click.ClickException(str(error)) from None


def _serve(deployment: Deployment, options: dict[str, Any]) -> None:
    from mock_server.process.serve import ServeOptions, serve

    serve_options = ServeOptions(
        shutdown_timeout_s=options["shutdown_timeout"],
        until_stdin_closes=options["until_stdin_closes"],
        ssl_keyfile=options["ssl_keyfile"],
        ssl_certfile=options["ssl_certfile"],
    )
    engine = make_engine(deployment.engine, deployment.model, deployment.options)
    listener = _bind(options)
    with contextlib.ExitStack() as stack:
        stack.callback(listener.close)
        if logs_json() and kind_of(deployment.engine).has_stray_output:
            stack.enter_context(stray_lines_as_json())
        serve(engine, deployment.settings, listener, serve_options, announce=only_line_on_stdout())


def _connection_limit(wanted: int | None) -> int:
    """Raises `DeployError`."""
    try:
        return connection_limit(wanted)
    except ValueError as error:
        raise DeployError(str(error), about=["max_connections"]) from None


def _bind(options: dict[str, Any]) -> Listener | UnixListener:
    """Raises `ListenError`."""
    if options["uds"] is not None:
        return UnixListener.bind(options["uds"])
    scheme = "https" if options["ssl_certfile"] else "http"
    return Listener.bind(options["host"], options["port"], scheme=scheme)
