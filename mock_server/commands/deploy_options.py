"""The options of `deploy` by heading, under vLLM's and ms-swift's names: the server's, then the engines'."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, TypeVar

import click

from mock_server.commands.api_keys import VARIABLE
from mock_server.commands.arguments import Section
from mock_server.commands.config_file import use_config
from mock_server.commands.engine_options import engine_options
from mock_server.commands.model_options import ADAPTERS, ANSWERS, MODEL
from mock_server.commands.option_types import HostParam, IntegerParam, NumberParam, SizeParam
from mock_server.engine.options import ADAPTERS as ADAPTERS_HEADING
from mock_server.logs.output import LOG_FORMATS, configure_log
from mock_server.process.descriptors import MOST_CONNECTIONS
from mock_server.request_limits import DEFAULT_LIMITS
from streamgauge.version import version_line

_F = TypeVar("_F", bound=Callable[..., Any])


def _start_log(ctx: click.Context, param: click.Parameter, form: Any) -> Any:
    configure_log(form)
    return form


def _show_version(ctx: click.Context, param: click.Parameter, wanted: Any) -> None:
    if wanted:
        click.echo(version_line())
        ctx.exit()


_server = Section("Server")
_access = Section("Access")
_log = Section("Log and process")
_adapters = Section(ADAPTERS_HEADING)
_help = Section("Help")

_POSITIVE = IntegerParam(1)


def _limit(name: str, default: int, meaning: str) -> Callable[[_F], _F]:
    """A limit; 0 removes it."""
    return _server(name, type=IntegerParam(0), default=default, show_default=True, help=f"{meaning} 0: no limit.")


SERVER = (
    _server(
        "--config",
        metavar="FILE",
        is_eager=True,
        callback=use_config,
        help="YAML file of options, such as port: 8000. The command line overrides it.",
    ),
    _server(
        "--host",
        type=HostParam(),
        default="127.0.0.1",
        show_default=True,
        help="Address to listen on. 0.0.0.0 or :: is every interface.",
    ),
    _server("--port", type=IntegerParam(0, 65535), default=8000, show_default=True, help="Port. 0 picks a free one."),
    _server("--uds", metavar="PATH", help="Unix socket to listen on, instead of an address and a port."),
    _server("--root-path", metavar="PATH", help="Prefix under which a proxy serves this server, such as /llm."),
    _server("--served-model-name", multiple=True, metavar="NAME...", help="Names of the model, the main one first."),
    _server.switch("--require-model", default=False, help="Refuse requests that name no model, as OpenAI does."),
    _limit("--max-requests", 0, "Maximum number of requests in progress, running or waiting; more get a 429."),
    _limit("--max-choices", DEFAULT_LIMITS.choices, "Maximum number of choices of a request: its prompts times n."),
    _limit(
        "--max-choices-in-progress",
        DEFAULT_LIMITS.choices_in_progress,
        "Maximum number of choices of all requests in progress; more get a 429. Long bodies count as several.",
    ),
    _limit(
        "--max-answer-tokens",
        DEFAULT_LIMITS.answer_tokens,
        "Maximum number of tokens that a request may ask for in an answer that is not streamed.",
    ),
    _limit(
        "--max-schema-size",
        DEFAULT_LIMITS.schema_characters,
        "Maximum length of a schema, a regular expression or a grammar in characters.",
    ),
    _server(
        "--max-connections",
        type=_POSITIVE,
        help=f"Maximum number of connections. [default: as many as file descriptors allow, up to {MOST_CONNECTIONS}]",
    ),
    _server(
        "--max-half-open",
        type=_POSITIVE,
        help="Maximum number of connections without a complete request head. [default: half of --max-connections]",
    ),
    _server(
        "--max-body-memory",
        type=SizeParam(),
        default="96M",
        show_default=True,
        help="Memory for all request bodies being received; a request that needs more gets a 503.",
    ),
    _server("--max-body-size", type=SizeParam(), default="32M", show_default=True, help="Largest request body."),
    _server("--max-header-size", type=SizeParam(), default="64K", show_default=True, help="Largest request head."),
    _server(
        "--read-timeout",
        type=NumberParam(0),
        default=30.0,
        show_default=True,
        help="Seconds within which a request must arrive; more for long bodies. 0: no limit.",
    ),
    _server("--owned-by", default="streamgauge", show_default=True, help="Owner shown on the model's card."),
)
ACCESS = (
    _access(
        "--api-key", multiple=True, metavar="KEY...", help="Accepted keys. Without any, every request is accepted."
    ),
    _access(
        "--api-key-file", metavar="FILE", help=f"File of such keys, one per line. [default: the key in ${VARIABLE}]"
    ),
    _access("--ssl-keyfile", metavar="FILE", help="Private key for TLS, in PEM form without a password."),
    _access("--ssl-certfile", metavar="FILE", help="Certificate for TLS, in PEM form."),
    _access(
        "--allowed-hosts",
        multiple=True,
        metavar="NAME...",
        help="Names for this server in the Host header, besides localhost and similar names; * allows all. [default:"
        " none on a loopback address, else *]",
    ),
    _access(
        "--allowed-origins",
        multiple=True,
        metavar="ORIGIN...",
        help="Origins of web pages that may call from a browser; * allows all. [default: none]",
    ),
    _access(
        "--allowed-methods", multiple=True, metavar="METHOD...", help="Methods that those pages may use. [default: all]"
    ),
    _access(
        "--allowed-headers",
        multiple=True,
        metavar="HEADER...",
        help="Headers that those pages may send. [default: all]",
    ),
    _access.switch("--allow-credentials", default=False, help="Let those pages send cookies and credentials."),
)
LOG = (
    _log(
        "--log-format",
        type=click.Choice(LOG_FORMATS),
        default="text",
        show_default=True,
        is_eager=True,
        callback=_start_log,
        help="Format of each log line: text, or a JSON object.",
    ),
    _log(
        "--log-interval",
        type=NumberParam(),
        default=10.0,
        show_default=True,
        help="Seconds between lines of throughput figures. 0: no such lines.",
    ),
    _log.switch("--verbose", default=False, help="Log each request when it ends."),
    _log(
        "--shutdown-timeout",
        type=NumberParam(0, 86_400),
        default=5.0,
        metavar="SECONDS",
        show_default=True,
        help="Time that requests in progress have to finish when the server stops.",
    ),
    _log.switch(
        "--until-stdin-closes",
        default=False,
        help="Stop when standard input closes, as it does when the parent process ends.",
    ),
)
RUNTIME_ADAPTERS = (
    _adapters.switch(
        "--runtime-lora",
        default=False,
        help="Let callers load and unload adapters over the API, from any path that the server can read.",
    ),
)
HELP = (
    _help(
        "--version",
        type=click.BOOL,
        is_flag=True,
        is_eager=True,
        expose_value=False,
        callback=_show_version,
        help="Show the version and exit.",
    ),
)


def deploy_options(command: _F) -> _F:
    sections = (SERVER, ACCESS, LOG, MODEL, ANSWERS, ADAPTERS, RUNTIME_ADAPTERS, engine_options(), HELP)
    for option in reversed([option for section in sections for option in section]):
        command = option(command)
    return command
