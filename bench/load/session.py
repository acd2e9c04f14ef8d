"""One run in order: server, preflight, warm-up, load, drain. No other module knows this order."""

from __future__ import annotations

import contextlib
import gc
import math
import secrets
from collections.abc import AsyncIterator, Callable
from dataclasses import dataclass
from datetime import UTC, datetime
from time import monotonic_ns
from typing import Protocol

import msgspec

from bench.load.diagnosis import explain_refusal
from bench.load.driver import Driver
from bench.load.embedded import EmbeddedServer, embedded_server
from bench.load.environment import describe_environment
from bench.load.health_watch import HealthWatch
from bench.load.plan import ClosedLoop, OpenLoop
from bench.load.preflight import (
    RefusedError,
    TargetError,
    choose_kind,
    find_model,
    make_workload,
    negotiate,
    probe_with,
)
from bench.load.proxies import proxy_note
from bench.load.resource_limits import allow_streams, check_rate
from bench.load.scrape import Scrape
from bench.load.server_behaviour import drop_length, observe, settle_length
from bench.load.settings import LoadSettings, UsageError
from bench.load.tally import Tally
from bench.outcome import Outcome
from bench.records.certificate import load_certificate, machine_name
from bench.records.moments import MomentLog
from bench.records.record import Record
from bench.records.run import LoadFacts, Run, TargetFacts
from bench.records.run_folder import RunFolder
from bench.redaction import Redactor
from bench.shown_text import MOST_CHARACTERS, shown
from bench.target import Target, TargetAddress, read_address
from bench.units import plural
from bench.wire import Wire, make_wire
from bench.workload.body import BodyForm, Features
from bench.workload.datasets import Workload
from streamgauge.version import version_line

# For an open loop without a limit, which needs an unknown number.
_MOST_CONNECTIONS = 65_536
_WARMUP_STREAMS = 64

_MOST_REASON = 200  # characters of a finish reason
_EXCERPT = 4

# A stream makes no reference cycles; those of failures are short-lived. A full collection would pause the bench.
_GC_THRESHOLDS = (10_000, 20, 1000)


class Watcher(Protocol):
    """Observes the progress of a run: a live view, or one that shows nothing."""

    def stage(self, text: str) -> None:
        """The current step of the run, before or after the load."""
        ...

    def load(
        self, run: Run, plan: ClosedLoop | OpenLoop, tally: Tally, health: HealthWatch
    ) -> contextlib.AbstractContextManager[None]:
        """A context manager around the load."""
        ...

    def clear(self) -> None:
        """Clear the view from the terminal, because something else will be printed there."""
        ...

    def warn(self, text: str) -> None:
        """Show a warning before the load."""
        ...


class Interruption:
    """Ctrl-C and SIGTERM: the first ends the requests in progress, the second leaves immediately."""

    def __init__(self, leave: Callable[[], None]) -> None:
        self.happened = False
        self.on_first: Callable[[], None] = lambda: None
        self._leave = leave

    def __call__(self) -> None:
        if self.happened:
            self._leave()
        self.happened = True
        self.on_first()


@dataclass(frozen=True, slots=True)
class Finished:
    """A run that has ended, and the folder with its records."""

    run: Run
    folder: RunFolder


@dataclass(frozen=True, slots=True)
class _Server:
    """The server to measure; `embedded` if the bench started it."""

    address: TargetAddress
    embedded: EmbeddedServer | None = None

    @property
    def profile(self) -> str | None:
        return None if self.embedded is None else self.embedded.profile

    def obituary(self) -> str | None:
        """How the embedded server ended, if it did."""
        status = None if self.embedded is None else self.embedded.process.returncode
        return None if status is None else f"the embedded server ended during the run (exit code {status})"


async def measure(settings: LoadSettings, interruption: Interruption, watcher: Watcher, loop_name: str) -> Finished:
    """Carry out a run. Raises UsageError, PromptFileError, TargetError or EmbeddedServerError before any load."""
    began = datetime.now(UTC).astimezone()
    limit_notes = allow_streams(settings.streams)
    async with _served(settings, watcher) as server:
        is_for_others = server.embedded is not None and settings.key_source is not None
        target = Target(
            server.address,
            api_key=None if is_for_others else settings.api_key,
            timeouts=settings.timeouts,
            headers=settings.headers,
            unused_proxy=settings.unused_proxy,
        )
        wire = make_wire(server.address.api.origin, settings.streams or _MOST_CONNECTIONS)
        try:
            prepared = await _prepare(settings, server, target, wire, began, watcher, loop_name, limit_notes)
            return await _load(prepared, settings, server, interruption, watcher)
        finally:
            await wire.aclose()
            await target.aclose()


@contextlib.asynccontextmanager
async def _served(settings: LoadSettings, watcher: Watcher) -> AsyncIterator[_Server]:
    if settings.address is not None:
        yield _Server(settings.address)
        return
    watcher.stage("starting the embedded server" + (", which loads a model" if settings.server.is_real else ""))
    async with embedded_server(settings.server, settings.seed) as server:
        try:
            yield _Server(read_address(server.url), server)
        except TargetError as error:
            raise TargetError(str(error), wrong_use=False, log=server.last_words()) from None


@dataclass(frozen=True, slots=True)
class _Prepared:
    driver: Driver
    wire: Wire
    scrape: Scrape
    run: Run
    folder: RunFolder


class _Keeper:
    """Passes records to the folder, once there is one.

    Removes secrets that a server quotes, and text that would control a terminal.
    """

    def __init__(self, redact: Redactor) -> None:
        self.folder: RunFolder | None = None
        self._early: list[Record] = []
        self._redact = redact

    def __call__(self, record: Record) -> None:
        if record.error is not None:
            record.error = self._fit(record.error, MOST_CHARACTERS)
        if record.finish_reason is not None:
            record.finish_reason = self._fit(record.finish_reason, _MOST_REASON)
        if self.folder is None:
            self._early.append(record)
        else:
            self.folder.keep(record)

    def _fit(self, text: str, most: int) -> str:
        # A megabyte would take seconds to search. The excerpt is longer than the result, as hiding shortens it.
        return shown(self._redact(text[: _EXCERPT * most]), most)

    def open(self, folder: RunFolder) -> None:
        self.folder = folder
        for record in self._early:
            folder.keep(record)
        self._early.clear()


async def _prepare(
    settings: LoadSettings,
    server: _Server,
    target: Target,
    wire: Wire,
    began: datetime,
    watcher: Watcher,
    loop_name: str,
    limit_notes: list[str],
) -> _Prepared:
    watcher.stage(f"connecting to {server.address}")
    model = await find_model(target, settings.model)
    kind = choose_kind(settings, model)
    nonce = None if settings.cache == "keep" else secrets.token_hex(3)
    workload, notes = await make_workload(settings, target, model, kind, nonce)
    keeper, moments = _Keeper(target.redact), MomentLog()
    run_id = f"bench-{nonce or secrets.token_hex(3)}"

    def make_driver(form: BodyForm, exact_length: bool = False) -> Driver:
        return Driver(
            target,
            wire,
            form,
            workload,
            keeper,
            moments,
            run_id=run_id,
            exact_length=exact_length,
            give_up_after_s=settings.give_up_after_s,
            drain_timeout_s=settings.drain_timeout_s,
            obituary=server.obituary,
        )

    features = Features(fixed_length=settings.fixed_length is not False)
    wanted = BodyForm(kind, model.name, features, settings.extra_body, settings.streamed)
    probe = probe_with(make_driver, monotonic_ns)
    try:
        agreed = await negotiate(probe, wanted)
    except RefusedError as error:
        raise TargetError(await explain_refusal(target, wanted, error.record), wrong_use=error.wrong_use) from None
    agreed, behaviour = await observe(probe, agreed)
    exact_length, length_notes = settle_length(settings, agreed.form, behaviour)
    agreed = drop_length(agreed, behaviour, required=exact_length)
    notes += length_notes + limit_notes
    if exact_length and length_notes:
        watcher.warn(length_notes[0])
    if settings.unused_proxy is not None:
        notes.append(proxy_note(settings.unused_proxy))
    keeps_length = agreed.form.features.fixed_length
    arrivals = settings.arrivals
    if arrivals is not None and settings.streams is None and keeps_length and settings.prompts is None:
        check_rate(arrivals.rate, settings.limits, settings.output_len, agreed.answer)
    driver = make_driver(agreed.form, exact_length)
    warmup = _default_warmup(settings) if settings.warmup is None else settings.warmup
    watcher.stage(f"warming up with {plural(warmup, 'request')}")
    failures = await driver.warm_up(warmup, settings.streams or _WARMUP_STREAMS)
    if any(failure.outcome is Outcome.CLIENT_LIMIT for failure in failures):
        raise UsageError(f"the warm-up reached a limit of this machine: {failures[0].error}")
    if failures:
        notes.append(f"{len(failures)} of {plural(warmup, 'warm-up request')} failed: {failures[0].error}")
    folder = RunFolder(settings.result_dir, began, moments)
    keeper.open(folder)
    environment = describe_environment(loop_name)
    run = Run(
        tool=version_line(),
        id=folder.id,
        started=began.isoformat(timespec="seconds"),
        again=settings.again,
        target=TargetFacts(
            url=str(server.address),
            endpoint=server.address.endpoint(kind),
            kind=kind,
            model=target.redact(model.name),
            served=None if model.served is None else list(map(target.redact, model.served)),
            embedded=server.embedded is not None,
            profile=server.profile,
            key_source=settings.key_source if server.embedded is None else None,
            address_source=settings.address_source,
            headers=[name for name, _ in settings.headers],
        ),
        load=_load_facts(settings, workload, warmup, nonce, agreed.form.features.fixed_length, exact_length),
        negotiated=msgspec.structs.replace(
            agreed.facts(), keeps_length=behaviour.keeps_length, keeps_connections=behaviour.keeps_connections
        ),
        view=settings.view,
        environment=environment,
        notes=notes,
        config=settings.config,
        certificate=load_certificate(settings.result_dir, machine_name(environment)),
    )
    return _Prepared(driver, wire, Scrape(target, model.name), run, folder)


def _load_facts(
    settings: LoadSettings,
    workload: Workload,
    warmup: int,
    nonce: str | None,
    fixed_length: bool,
    length_required: bool,
) -> LoadFacts:
    return LoadFacts(
        plan="closed" if settings.arrivals is None else "open",
        streams=settings.streams,
        **({} if settings.arrivals is None else settings.arrivals.facts()),
        streamed=settings.streamed,
        duration_s=settings.limits.duration_s,
        requests=settings.limits.requests,
        warmup=warmup,
        output_len=settings.output_len,
        input_len=settings.input_len,
        fixed_length=fixed_length,
        length_required=length_required,
        seed=settings.seed,
        cache=settings.cache,
        nonce=nonce,
        prompts=workload.describe(),
    )


async def _load(
    prepared: _Prepared, settings: LoadSettings, server: _Server, interruption: Interruption, watcher: Watcher
) -> Finished:
    driver, run, folder = prepared.driver, prepared.run, prepared.folder
    plan = make_plan(settings)
    health = HealthWatch(prepared.wire, folder.flush)
    folder.save_run(run)
    await prepared.scrape.begin()
    thresholds = gc.get_threshold()
    gc.collect()
    gc.freeze()  # these objects outlive the run: the collector does not need to visit them again
    gc.set_threshold(*_GC_THRESHOLDS)

    def stop() -> None:
        plan.stop(monotonic_ns())
        driver.cancel()

    interruption.on_first = stop
    health.start()
    try:
        with watcher.load(run, plan, driver.tally, health):
            await driver.run(plan)
    finally:
        interruption.on_first = lambda: None
        watched = health.stop()
        gc.set_threshold(*thresholds)
        gc.unfreeze()
        run = msgspec.structs.replace(
            run,
            begun_ns=plan.begun_ns,
            stopped_ns=plan.stopped_ns,
            ended_ns=monotonic_ns(),
            sent=plan.sent,
            interrupted=interruption.happened,
            gave_up=driver.gave_up,
            health=watched,
        )
        folder.finish()
        if folder.failure is not None:
            run = msgspec.structs.replace(run, records_end=str(folder.failure.strerror or folder.failure))
        folder.save_run(run)
    if not run.interrupted:
        run = msgspec.structs.replace(run, server=await prepared.scrape.end(plan.sent))
        folder.save_run(run)
    return Finished(run, folder)


def make_plan(settings: LoadSettings) -> ClosedLoop | OpenLoop:
    """The plan for these settings."""
    if settings.arrivals is None:
        return ClosedLoop(settings.streams or 1, settings.limits)
    return OpenLoop(settings.arrivals.gaps_s(settings.seed), settings.limits, settings.streams)


def _default_warmup(settings: LoadSettings) -> int:
    """One request for each connection that the load will use, as far as that is known."""
    streams = settings.streams or _WARMUP_STREAMS
    if settings.arrivals is not None:
        streams = min(streams, math.ceil(settings.arrivals.rate))
    return min(streams, settings.limits.requests or streams)
