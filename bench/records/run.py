"""What was run: the facts beside the raw records that a result is computed from. Kept as run.json."""

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
    """The server: `profile` is the embedded one's; the sources say what was read from the environment.

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
        """Where the requests of the load go."""
        origin = urlsplit(self.url)
        return f"{origin.scheme}://{origin.netloc}{self.endpoint}"


class LoadFacts(msgspec.Struct, kw_only=True):
    """The load, for `duration_s`, `requests`, or whichever ended it first.

    A closed loop keeps `streams` open. An open one sends `rate` requests a second as `arrivals` has it, with at most
    `streams` open at once if that is given; `burstiness` is the shape of gamma arrivals. `streamed` is whether answers
    were asked for as streams, `fixed_length` whether all were to be as long as asked, `length_required` whether another
    length was a failure.
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
    """What the server took of what it was asked beyond the plain request; `refused` names the rest.

    `keeps_length` and `keeps_connections` are whether it was seen to answer with the length asked for, and to leave the
    connection open; null where that could not be seen.
    """

    usage: bool
    continuous_usage: bool
    fixed_length: bool
    refused: list[str] = []
    keeps_length: bool | None = None
    keeps_connections: bool | None = None


class View(msgspec.Struct, kw_only=True):
    """Which figures the report shows; `goodput` are limits in milliseconds by the name of the figure."""

    percentiles: tuple[float, ...] = DEFAULT_PERCENTILES
    rows: tuple[str, ...] = DEFAULT_ROWS
    goodput: dict[str, float] = {}


class ServerCounters(msgspec.Struct, kw_only=True):
    """What the server itself counted during the load, by its `/metrics`; `problem` says why it is not known."""

    requests: int | None = None
    prompt_tokens: int | None = None
    generation_tokens: int | None = None
    problem: str | None = None


class ConfigFacts(msgspec.Struct, kw_only=True):
    """The options that a configuration file set, under their names there; secrets among them are hidden."""

    file: str
    options: dict[str, Any]


class Certificate(msgspec.Struct, kw_only=True):
    """What this machine was shown to measure (`bench selftest`): so many tokens/s and streams, within these errors."""

    tokens_per_s: float
    streams: int
    ttft_error_ms: float
    itl_error_ms: float
    issued: str
    machine: str


class Run(msgspec.Struct, kw_only=True):
    """One run. The three stamps are monotonic ns: load begun, sending stopped, last request ended.

    They are null in a run that was killed; the records then say how far it had come. `records_end` is what the disk
    said when it took no more of them, `sent` how many requests there were. `unfinished` is set by who reads such a run
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
