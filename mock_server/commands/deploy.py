"""`deploy`: serve a model until told to stop."""

import logging
import os
import sys
from collections.abc import Callable
from typing import Any

import click
from click.core import ParameterSource

from ..engine.errors import EngineError
from ..engine.registry import EngineOptionError, make_engine
from ..listener import Listener, ListenError
from .arguments import CONTEXT, OptionsCommand, SectionedOption
from .certificate import check_certificate
from .deploy_options import deploy_options
from .deployment import NATIVE, DeployError, Deployment, read_deployment
from .native import exec_vllm_serve


@click.command(cls=OptionsCommand, context_settings=CONTEXT)
@deploy_options
@click.pass_context
def deploy(ctx: click.Context, /, **options: Any) -> None:
    """Serve a model under OpenAI's API.

    A model that is named is run by vLLM; without one, a simulated engine answers. When the server answers, one line
    on standard output says so: ready URL model=NAMES engine=NAME profile=NAME. Logs go to standard error.
    """
    logging.basicConfig(stream=sys.stderr, level=logging.INFO, format="%(asctime)s %(levelname)s %(name)s: %(message)s")
    said = [name for name in options if ctx.get_parameter_source(name) is not ParameterSource.DEFAULT]
    engines_of = {param.name or "": param.engines for param in deploy.params if isinstance(param, SectionedOption)}
    try:
        deployment = read_deployment(options, said, engines_of)
        check_certificate(options["ssl_certfile"], options["ssl_keyfile"])
        if deployment.engine == NATIVE:
            exec_vllm_serve(options, said, deployment)
        _serve(deployment, options)
    except (DeployError, EngineOptionError) as exc:
        raise click.UsageError(str(exc)) from None
    except (ListenError, EngineError) as exc:
        raise click.ClickException(str(exc)) from None


def _serve(deployment: Deployment, options: dict[str, Any]) -> None:
    from ..serve import ServeOptions, serve

    scheme = "https" if options["ssl_certfile"] else "http"
    serve_options = ServeOptions(
        shutdown_timeout_s=options["shutdown_timeout"],
        until_stdin_closes=options["until_stdin_closes"],
        ssl_keyfile=options["ssl_keyfile"],
        ssl_certfile=options["ssl_certfile"],
    )
    engine = make_engine(deployment.engine, deployment.options)
    listener = Listener.bind(options["host"], options["port"], scheme=scheme)
    serve(engine, deployment.settings, listener, serve_options, announce=_only_line_on_stdout())


def _only_line_on_stdout() -> Callable[[str], None]:
    """Standard output holds the ready line alone: what libraries and their processes print there is log, too."""
    sys.stdout.flush()
    stdout = os.dup(1)
    os.dup2(2, 1)

    def announce(line: str) -> None:
        os.write(stdout, f"{line}\n".encode())
        os.close(stdout)

    return announce
