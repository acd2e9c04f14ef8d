"""Tests the bench: it loads a server that knows the truth, and its figures are compared with that."""

from __future__ import annotations

import asyncio
import contextlib
import os
import sys
import tempfile
from collections.abc import AsyncIterator, Callable
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path

import msgspec

from bench.load.embedded import own_cores, stop_process
from bench.load.environment import describe_environment
from bench.load.plan import Limits
from bench.load.session import Finished, Interruption, Watcher, measure
from bench.load.settings import LoadSettings, UsageError
from bench.records.certificate import machine_name
from bench.records.record import Record
from bench.records.result import Result, Verdict
from bench.records.run import Certificate
from bench.records.run_folder import REQUESTS, load_records
from bench.summary import summarize
from bench.target import Target, Timeouts, read_address
from bench.truth.comparison import Comparison, compare
from bench.truth.log import Truth, read_log
from bench.truth.script import SHAPES, TOKENS, Order
from streamgauge.version import version_line

READY_LIMIT_S = 30.0
SHAPE_STREAMS, SHAPE_TTFT_MS, SHAPE_ITL_MS = 32, 20.0, 2.0
LOAD_TTFT_MS, LOAD_ITL_MS = 200.0, 20.0
LOAD_STREAMS = (128, 256, 512, 1024, 2048, 4096, 8192)


class SelfTestError(Exception):
    """The truth server did not start."""


class Trial(msgspec.Struct, kw_only=True):
    """One load compared with the truth. `blamed` are checks that failed because of the server."""

    name: str
    about: str
    streams: int
    verdict: Verdict
    comparison: Comparison
    blamed: list[str] = []

    @property
    def is_true(self) -> bool:
        """Whether it was measured correctly or its report states the error, and no check failed wrongly."""
        return self.comparison.is_true and not self.blamed


class SelfTest(msgspec.Struct, kw_only=True):
    """All trials: one per shape, then one per load. The certificate is null if no load was measured well enough."""

    schema: int = 1
    tool: str
    started: str
    environment: dict[str, object]
    shapes: list[Trial]
    loads: list[Trial]
    certificate: Certificate | None = None

    @property
    def holds(self) -> bool:
        """Whether every shape was measured correctly, or its report states the error."""
        return all(trial.is_true for trial in self.shapes)


@dataclass(frozen=True, slots=True)
class Scope:
    """What to test: which shapes, how long each, and the most streams for the certificate (0 for none)."""

    shapes: tuple[str, ...] = tuple(SHAPES)
    shape_s: float = 1.2
    load_s: float = 5.0
    most_streams: int = LOAD_STREAMS[-1]


class SelfTester:
    """Carries out trials against one truth server."""

    def __init__(self, url: str, log: Path, interruption: Interruption, watcher: Watcher, loop_name: str) -> None:
        self._url, self._log = url, log
        self._interruption, self._watcher, self._loop_name = interruption, watcher, loop_name

    async def shape(self, name: str, duration_s: float) -> Trial:
        """A trial of one shape."""
        order = Order(name, TOKENS, SHAPE_TTFT_MS, SHAPE_ITL_MS)
        return await self._trial(name, SHAPES[name].about, order, SHAPE_STREAMS, duration_s)

    async def load(self, streams: int, duration_s: float) -> Trial:
        """A trial of one load."""
        order = Order("one", TOKENS, LOAD_TTFT_MS, LOAD_ITL_MS)
        return await self._trial(f"{streams}", f"{streams:,} streams", order, streams, duration_s)

    async def _trial(self, name: str, about: str, order: Order, streams: int, duration_s: float) -> Trial:
        with tempfile.TemporaryDirectory() as scratch:
            settings = LoadSettings(
                streams=streams,
                limits=Limits(duration_s=duration_s),
                address=read_address(self._url),
                endpoint="chat",
                output_len=order.tokens,
                fixed_length=None if SHAPES[order.shape].manner.ignores_length else True,
                extra_body={"truth": msgspec.to_builtins(order)},
                result_dir=Path(scratch),
                live=False,
            )
            finished = await measure(settings, self._interruption, self._watcher, self._loop_name)
            try:
                if finished.run.interrupted:
                    raise asyncio.CancelledError
                result, records = _summarized(finished)
            finally:
                finished.folder.close()
            comparison = compare(result.headline, finished.run.begun_ns or 0, records, await self._truths())
        return Trial(
            name=name,
            about=about,
            streams=streams,
            verdict=result.verdict,
            comparison=comparison,
            blamed=_blamed(result, SHAPES[order.shape].innocent),
        )

    async def _truths(self) -> dict[str, Truth]:
        target = Target(read_address(self._url), api_key=None, timeouts=Timeouts())
        try:
            await target.post("/flush", {})
        finally:
            await target.aclose()
        try:
            return read_log(self._log)
        finally:
            self._log.unlink()


def _blamed(result: Result, innocent: tuple[str, ...]) -> list[str]:
    """Which of these checks failed, although the bench itself was on time."""
    failed = {check.code for check in result.checks if check.status == "fail"}
    return [] if {"lateness", "client_pause"} & failed else sorted(failed & set(innocent))


def _summarized(finished: Finished) -> tuple[Result, list[Record]]:
    folder = finished.folder
    result = summarize(finished.run, folder.records(), folder.moments)
    return result, list(load_records(folder.path / REQUESTS))


async def self_test(
    scope: Scope,
    interruption: Interruption,
    watcher: Watcher,
    loop_name: str,
    begin: Callable[[str, str], None],
    show: Callable[[Trial], None],
) -> SelfTest:
    """Test all shapes, then loads that double until one is not measured well. Raises SelfTestError.

    `begin` is told the title of each part and what it is about, `show` each trial.
    """
    started = datetime.now(UTC).astimezone().isoformat(timespec="seconds")
    environment = describe_environment(loop_name)
    shapes: list[Trial] = []
    loads: list[Trial] = []
    async with truth_server() as (url, log):
        tester = SelfTester(url, log, interruption, watcher, loop_name)
        begin("shapes", _about(SHAPE_TTFT_MS, SHAPE_ITL_MS, f"{SHAPE_STREAMS} streams"))
        for name in scope.shapes:
            shapes.append(await tester.shape(name, scope.shape_s))
            show(shapes[-1])
        if scope.most_streams:
            begin("loads", _about(LOAD_TTFT_MS, LOAD_ITL_MS, "a token an event"))
        for streams in LOAD_STREAMS:
            if streams > scope.most_streams:
                break
            try:
                loads.append(await tester.load(streams, scope.load_s))
            except UsageError:  # it needs more open files than allowed
                break
            show(loads[-1])
            if not _is_certified(loads[-1]):
                break
    return SelfTest(
        tool=version_line(),
        started=started,
        environment=environment,
        shapes=shapes,
        loads=loads,
        certificate=_certify(loads, started, machine_name(environment)),
    )


def _about(ttft_ms: float, itl_ms: float, load: str) -> str:
    return f"{load}, TTFT {ttft_ms:g} ms, ITL {itl_ms:g} ms, {TOKENS} tokens; errors in ms (reported − true)"


def _is_certified(trial: Trial) -> bool:
    return trial.comparison.holds and trial.verdict.level == "trusted"


def _certify(loads: list[Trial], issued: str, machine: str) -> Certificate | None:
    """The largest load that was measured well, with the largest errors up to it."""
    good = [trial for trial in loads if _is_certified(trial)]
    if not good:
        return None
    best = good[-1].comparison

    def worst(figures: tuple[str, ...]) -> float:
        return max(
            (abs(d.error) for trial in good for d in trial.comparison.deviations if d.figure in figures), default=0.0
        )

    return Certificate(
        tokens_per_s=best.tokens_per_s or 0.0,
        streams=good[-1].streams,
        ttft_error_ms=worst(("ttft",)),
        itl_error_ms=worst(("itl", "icl")),
        issued=issued,
        machine=machine,
    )


@contextlib.asynccontextmanager
async def truth_server() -> AsyncIterator[tuple[str, Path]]:
    """Start a truth server, on separate cores if there are several. Yields address and log. Raises SelfTestError."""
    with tempfile.TemporaryDirectory() as scratch, own_cores() as server_cores:
        log = Path(scratch) / "truth.jsonl"
        process = await asyncio.create_subprocess_exec(
            *(sys.executable, "-m", "bench.truth", "--log", str(log), "--until-stdin-closes"),
            stdin=asyncio.subprocess.PIPE,
            stdout=asyncio.subprocess.PIPE,
            start_new_session=True,
        )
        try:
            if server_cores:
                os.sched_setaffinity(process.pid, server_cores)
            yield await _address(process), log
        finally:
            await stop_process(process)


async def _address(process: asyncio.subprocess.Process) -> str:
    line = b""
    if process.stdout is not None:
        with contextlib.suppress(TimeoutError):
            async with asyncio.timeout(READY_LIMIT_S):
                line = await process.stdout.readline()
    word, _, url = line.decode("utf-8", "replace").strip().partition(" ")
    if word != "ready":
        raise SelfTestError(f"the truth server did not start within {READY_LIMIT_S:g} s")
    return url
