"""What was run: the facts that, with the raw records, a result is computed from. Kept as run.json."""

from __future__ import annotations

from typing import Any, Literal
from urllib.parse import urlsplit

import msgspec

from bench.records.health import Health
from bench.units import plural
from bench.workload.arrivals import Arrivals, ProcessName, make_arrivals

SCHEMA = 1
METRICS_SPEC = 2

DEFAULT_PERCENTILES = (50.0, 90.0, 95.0, 99.0, 99.9)
DEFAULT_ROWS = ("ttft", "itl", "tpot", "e2e")


class TargetFacts(msgspec.Struct, kw_only=True):
    """The server. `profile` is that of the embedded one; the sources name what was read from the environment.

    `headers` are the names of the headers that `--header` added to each request.
    """

    url: str
    endpoint: str
    kind: str
    model: str
    served: list[str] | None = None
    embedded: bool = False
    profile: str | None = None
    key_source: str | None = None
    address_source: str | None = None
    headers: list[str] = []

    @property
    def endpoint_url(self) -> str:
        """The URL that the requests of the load go to."""
        origin = urlsplit(self.url)
        return f"{origin.scheme}://{origin.netloc}{self.endpoint}"


class LoadFacts(msgspec.Struct, kw_only=True):
    """The load, limited by `duration_s`, `requests`, or whichever was reached first.

    A closed loop keeps `streams` open. An open loop sends `rate` requests per second, spread as `arrivals` says, with
    at most `streams` open concurrently if that is given; `burstiness` is the shape of gamma arrivals. `streamed` is
    whether answers were requested as streams, `fixed_length` whether all were to have the requested length, and
    `length_required` whether another length was a failure.
    """

    plan: Literal["closed", "open"] = "closed"
    streams: int | None = None
    rate: float | None = None
    arrivals: ProcessName | None = None
    burstiness: float | None = None
    streamed: bool = True
    duration_s: float | None = None
    requests: int | None = None
    warmup: int = 0
    output_len: int
    input_len: int | None = None
    fixed_length: bool = True
    length_required: bool = False
    seed: int
    cache: Literal["keep", "bust"] = "bust"
    nonce: str | None = None
    prompts: str = ""

    @property
    def arrival_process(self) -> Arrivals | None:
        """How the requests of an open loop arrive; None for a closed one."""
        if self.plan == "closed":
            return None
        return make_arrivals(self.arrivals or "poisson", self.rate or 1.0, self.burstiness)

    @property
    def shape(self) -> str:
        """The load in a few words."""
        process = self.arrival_process
        if process is None:
            return plural(self.streams or 0, "stream")
        most = "" if self.streams is None else f", at most {self.streams:,} at once"
        return f"{process.rate:g} req/s ({process.describe()}{most})"


class Negotiated(msgspec.Struct, kw_only=True):
    """What the server accepted of what goes beyond the plain request; `refused` names the rest.

    `keeps_length` and `keeps_connections` are whether its answers had the requested length, and whether it left
    connections open; null if that could not be observed.
    """

    usage: bool
    continuous_usage: bool
    fixed_length: bool
    refused: list[str] = []
    keeps_length: bool | None = None
    keeps_connections: bool | None = None


class View(msgspec.Struct, kw_only=True):
    """Which figures the report shows. `goodput` has the limits in milliseconds by figure."""

    percentiles: tuple[float, ...] = DEFAULT_PERCENTILES
    rows: tuple[str, ...] = DEFAULT_ROWS
    goodput: dict[str, float] = {}


class ServerCounters(msgspec.Struct, kw_only=True):
    """What the server itself counted during the load, from its `/metrics`; `problem` explains why that is unknown."""

    requests: int | None = None
    prompt_tokens: int | None = None
    generation_tokens: int | None = None
    problem: str | None = None


class ConfigFacts(msgspec.Struct, kw_only=True):
    """The options that a configuration file set, by their names there. Secrets among them are hidden."""

    file: str
    options: dict[str, Any]


class Certificate(msgspec.Struct, kw_only=True):
    """What this machine has been shown to measure (`bench selftest`): a load, and the errors at that load."""

    tokens_per_s: float
    streams: int
    ttft_error_ms: float
    itl_error_ms: float
    issued: str
    machine: str


class Run(msgspec.Struct, kw_only=True):
    """One run. The three timestamps are monotonic ns: load begun, sending stopped, last request ended.

    They are null in a run that was killed; its records show how far it got. `records_end` is the error of the disk when
    it accepted no more records, and `sent` is how many requests there were. `unfinished` is set when such a run is read
    back: it is still "running", it was "killed", or the "disk" was full.
    """

    schema: int = SCHEMA
    metrics_spec: int = METRICS_SPEC
    tool: str
    id: str
    started: str
    again: str
    target: TargetFacts
    load: LoadFacts
    negotiated: Negotiated
    view: View = msgspec.field(default_factory=View)
    environment: dict[str, Any] = {}
    notes: list[str] = []
    begun_ns: int | None = None
    stopped_ns: int | None = None
    ended_ns: int | None = None
    sent: int | None = None
    records_end: str | None = None
    unfinished: str | None = None
    interrupted: bool = False
    gave_up: str | None = None
    server: ServerCounters | None = None
    config: ConfigFacts | None = None
    certificate: Certificate | None = None
    health: Health | None = None
