"""What the user requested, checked as far as possible without a server or a file."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Literal

from bench.answer_limits import DEFAULT_DRAIN_TIMEOUT_S
from bench.headers import Header
from bench.load.embedded import ServerChoice
from bench.load.outage import DEFAULT_GIVE_UP_AFTER_S
from bench.load.plan import Limits
from bench.records.run import ConfigFacts, View
from bench.target import TargetAddress, Timeouts, read_address
from bench.workload.arrivals import Arrivals

DEFAULT_STREAMS = 64
DEFAULT_DURATION_S = 15.0
DEFAULT_SEED = 7
DEFAULT_OUTPUT_LEN = 128
DEFAULT_RESULT_DIR = Path("runs")
STDOUT = Path("-")

BASE_URL_VARIABLE = "OPENAI_BASE_URL"
API_KEY_VARIABLE = "OPENAI_API_KEY"


class UsageError(ValueError):
    """Wrong use. The message names the option, the value and the remedy.

    `options` are the parameters of the options that it is about: the command line adds where a file sets them.
    """

    def __init__(self, message: str, *options: str) -> None:
        super().__init__(message)
        self.options = options


class OutputError(Exception):
    """A result cannot be printed or written to its destination."""


@dataclass(frozen=True, slots=True)
class Output:
    """What is printed (`format`) and written: the native JSON to `json`, a file with vLLM's keys into `save_dir`.

    That file has a name made as vLLM makes it unless `result_filename` is given; with `save_detailed` it holds the
    details of each request.
    """

    format: str = "console"
    json: Path | None = None
    save_dir: Path = Path()
    save_result: bool = False
    save_detailed: bool = False
    result_filename: str | None = None


@dataclass(frozen=True, slots=True)
class LoadSettings:
    """A run as requested. `address` is None for the embedded server, `warmup` is None for one request per stream.
    `unused_proxy` is the variable of a proxy that the bench bypasses.

    With `arrivals` the run is an open loop, and `streams` limits the requests in progress unless it is None.
    `fixed_length` is None if the user gave no length: answers then have `output_len` tokens if the server accepts that.
    """

    streams: int | None
    limits: Limits
    arrivals: Arrivals | None = None
    streamed: bool = True
    address: TargetAddress | None = None
    address_source: str | None = None
    endpoint: Literal["chat", "completions"] | None = None
    model: str | None = None
    api_key: str | None = field(default=None, repr=False)
    key_source: str | None = None
    headers: tuple[Header, ...] = field(default=(), repr=False)
    unused_proxy: str | None = None
    server: ServerChoice = field(default_factory=ServerChoice)
    output_len: int = DEFAULT_OUTPUT_LEN
    fixed_length: bool | None = None
    input_len: int | None = None
    prompts: Path | None = None
    cache: Literal["keep", "bust"] = "bust"
    seed: int = DEFAULT_SEED
    warmup: int | None = None
    extra_body: dict[str, Any] = field(default_factory=dict)
    timeouts: Timeouts = field(default_factory=Timeouts)
    give_up_after_s: float = DEFAULT_GIVE_UP_AFTER_S
    drain_timeout_s: float = DEFAULT_DRAIN_TIMEOUT_S
    result_dir: Path = DEFAULT_RESULT_DIR
    output: Output = field(default_factory=Output)
    view: View = field(default_factory=View)
    live: bool = True
    strict: bool = False
    again: str = ""
    config: ConfigFacts | None = None


def choose_address(
    *,
    base_url: str | None,
    host: str | None,
    port: int | None,
    path: str | None,
    environment: Mapping[str, str],
    embedded: bool,
) -> tuple[TargetAddress | None, str | None]:
    """The server to measure (None for the embedded one), and the environment variable that named it, if one did.

    Raises UsageError.
    """
    if base_url is not None and (host is not None or port is not None):
        problem = "--base-url and --host/--port exclude each other; keep one of them"
        raise UsageError(problem, "base_url", "host", "port")
    parameter = "host" if base_url is None else "base_url"
    if base_url is None:
        base_url = _url_of(host, port)
    if embedded and base_url is not None:
        problem = "--engine, --server-profile and similar options are for the embedded server"
        raise UsageError(f"{problem}; leave them out, or the address", "engine", "server_profile")
    source = None
    if base_url is None and not embedded and (named := environment.get(BASE_URL_VARIABLE)):
        base_url, source = named, BASE_URL_VARIABLE
    if base_url is None:
        if path is not None:
            problem = f"--endpoint {path}: a path needs your own server; give --base-url, or --endpoint chat"
            raise UsageError(problem, "endpoint")
        return None, None
    try:
        address = read_address(base_url)
    except ValueError as error:
        blamed = source or f"--{parameter.replace('_', '-')}"
        raise UsageError(f"{blamed}: {error}", *([] if source else [parameter])) from None
    return address if path is None else _at_path(address, base_url, path), source


def _url_of(host: str | None, port: int | None) -> str | None:
    """The address that `--host` and `--port` name, None without them. Raises UsageError."""
    if host is None and port is None:
        return None
    if host is not None:
        _check_host(host)
    shown = host or "127.0.0.1"
    bracketed = f"[{shown}]" if ":" in shown and "[" not in shown else shown
    return f"http://{bracketed}:{port or 8000}"


def _at_path(address: TargetAddress, base_url: str, path: str) -> TargetAddress:
    """The address with the path of `--endpoint`. Raises UsageError."""
    if address.path is not None and address.path.rstrip("/") != path.rstrip("/"):
        problem = f"--endpoint {path} and the address {base_url} name different endpoints; keep one of them"
        raise UsageError(problem, "endpoint")
    try:
        return read_address(base_url, path)
    except ValueError as error:
        raise UsageError(f"--endpoint: {error}", "endpoint") from None


def _check_host(host: str) -> None:
    if "/" in host:
        raise UsageError(f"--host {host}: must be a host name; give a whole address as --base-url", "host")
    if host.count(":") == 1:
        name, _, port = host.partition(":")
        raise UsageError(f"--host {host}: must not contain a port; give --host {name} --port {port}", "host", "port")
