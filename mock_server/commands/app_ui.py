"""`app-ui`: chat with a model in the browser."""

from __future__ import annotations

import contextlib
import signal
from collections.abc import Callable
from importlib.util import find_spec
from typing import Any, TypeVar

import click

from mock_server.commands.arguments import OptionsCommand, Section
from mock_server.commands.model_access import access_options, reach, read_access
from mock_server.commands.option_types import HostParam, IntegerParam
from mock_server.commands.ready_line import only_line_on_stdout
from mock_server.commands.wrong_use import WrongUseError
from mock_server.embedded.endpoint import Endpoint
from mock_server.http.host_names import ANY, is_loopback, name_of
from mock_server.http.root_path import checked_root_path
from mock_server.process.listener import Listener, ListenError
from streamgauge.install import install_command
from streamgauge.option_sections import CONTEXT

_F = TypeVar("_F", bound=Callable[..., Any])
_page = Section("Page")
PAGE = (
    _page(
        "--host",
        "--server-name",
        "host",
        type=HostParam(),
        default="127.0.0.1",
        show_default=True,
        help="Address to listen on. 0.0.0.0 or :: is every interface: whoever reaches it may use the model.",
    ),
    _page(
        "--port",
        "--server-port",
        "port",
        type=IntegerParam(0, 65535),
        default=7860,
        show_default=True,
        help="Port. 0 picks a free one.",
    ),
    _page("--root-path", metavar="PATH", help="Prefix under which a proxy serves the page, such as /chat."),
    _page(
        "--allowed-hosts",
        multiple=True,
        metavar="NAME...",
        help="Names for this machine in the Host header, besides localhost and similar names; * allows all. [default:"
        " none on a loopback address, else *]",
    ),
    _page.switch("--share", default=False, help="Refused: a public address needs a service outside this machine."),
)
_EXAMPLE = """\
\b
Examples:
  app-ui --model-type smollm2-135m-instruct
  app-ui --ckpt-dir output/vx-xxx/checkpoint-xxx --infer-backend pt
  app-ui --base-url http://127.0.0.1:8000 --port 0
"""


def _page_options(command: _F) -> _F:
    for option in reversed(PAGE):
        command = option(command)
    return command


@click.command(cls=OptionsCommand, context_settings=CONTEXT, epilog=_EXAMPLE)
@_page_options
@access_options
@click.pass_context
def app_ui(ctx: click.Context, /, **options: Any) -> None:
    """Chat with a model in the browser.

    The model runs in this process, or on the server of --base-url. When the page is ready, this prints one line on
    standard output: ready URL model=NAMES. Ctrl-C ends it.
    """
    if options["share"]:
        raise WrongUseError(
            "--share needs a service outside this machine, which this page does without: let others connect with"
            " --host 0.0.0.0, or put a proxy in front and name its path with --root-path"
        )
    root_path = _root_path(options["root_path"])
    access = read_access(ctx)
    if find_spec("gradio") is None:
        raise click.ClickException(f"the chat page needs gradio: {install_command('app')}")
    announce = only_line_on_stdout()
    signal.signal(signal.SIGTERM, signal.default_int_handler)  # ends what has been started, as Ctrl-C does
    with contextlib.ExitStack() as stack:
        try:
            listener = Listener.bind(options["host"], options["port"])
            stack.callback(listener.close)
            endpoint = stack.enter_context(reach(access))
            hosts = options["allowed_hosts"] or (() if is_loopback(name_of(options["host"])) else (ANY,))
            _serve(endpoint, listener, root_path, hosts, announce)
        except ListenError as error:
            raise click.ClickException(str(error)) from None


def _root_path(given: str | None) -> str:
    try:
        return checked_root_path(given or "")
    except ValueError as error:
        raise WrongUseError(str(error)) from None


def _serve(
    endpoint: Endpoint, listener: Listener, root_path: str, hosts: tuple[str, ...], announce: Callable[[str], None]
) -> None:
    from mock_server.chat_page.application import make_page
    from mock_server.chat_page.backend import Backend
    from mock_server.chat_page.serving import serve_page

    try:
        backend = Backend(endpoint)
    except ValueError as error:  # an address that is none
        raise WrongUseError(str(error)) from None
    page = make_page(backend, root_path=root_path, allowed_hosts=hosts)

    def ready(names: str) -> None:
        url = listener.url.removesuffix("/v1") + (f"{root_path}/" if root_path else "")
        every = listener.every_interface
        announce(f"ready {url} model={names}" + ("" if every is None else f" listening={every}"))

    serve_page(page, listener, backend, ready)
