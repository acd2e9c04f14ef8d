"""A server whose log is kept while it is fuzzed, and what must hold of it before, during and after."""

from __future__ import annotations

import contextlib
import json
import os
import re
import time
from collections.abc import Callable, Iterable, Iterator
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest
from hypothesis import HealthCheck, seed, settings
from hypothesis.stateful import RuleBasedStateMachine, run_state_machine_as_test

from tests.support.fuzz_client import Answer, ask
from tests.support.health_probe import MemoryPeak, probing
from tests.support.hostile_check import ADDRESS_SPACE, LIMIT_MB, slowdown
from tests.support.hostile_strategies import Call
from tests.support.serving import ServerProcess, server_process

LIMIT_S = 0.1
KEY = "key-of-the-fuzz"
AT_ONCE = 8
_TRIES = 3
_IDLE_WITHIN_S = 10.0
_UNPRINTABLE = re.compile("[\x00-\x09\x0b-\x1f\x7f-\x9f\u2028\u2029\u202a-\u202e\u2066-\u2069]")
CHOSEN_SEED = os.environ.get("FUZZ_SEED")
EXAMPLES = float(os.environ.get("FUZZ_EXAMPLES", "1"))

DEMO = "demo, adapters"
INSTANT = "instant, key, images, thoughts"
SCRIPTED = "scripted, thoughts"
BASE = "base model, key, CORS"
SERVERS: dict[str, tuple[str, ...]] = {
    DEMO: ("--profile", "demo", "--time-scale", "20", "--lora-modules", "tuner", "--tool-call-parser",
    "hermes"),
    INSTANT: (
        "--profile", "instant", "--image-tokens", "5", "--reasoning-parser", "qwen3", "--api-key", KEY,
        "--lora-modules", "tuner"),
    SCRIPTED: (
        "--engine", "scripted", "--script", "ttft_ms=2,itl_ms=0.1", "--reasoning-parser", "deepseek_r1",
        "--image-tokens", "5"),
    BASE: (
        "--profile", "instant", "--no-chat", "--api-key", KEY, "--require-model", "--allowed-origins",
        "https://page.example",
        "--root-path", "/llm", "--served-model-name", "sim-chat"),
}  # fmt: skip


@dataclass(frozen=True)
class FuzzedServer:
    process: ServerProcess
    log: Path
    key: str
    number: int
    """Among SERVERS."""

    def ask(self, call: Call) -> Answer:
        return ask(self.process, call, self.key)

    def ask_all(self, calls: Iterable[Call]) -> list[Answer]:
        """At the same time."""
        with ThreadPoolExecutor(AT_ONCE) as pool:
            return list(pool.map(self.ask, calls))

    def stays_sound(self, fuzz: Callable[[], None], report: Callable[[str, object], None]) -> None:
        """`fuzz` neither blocks the server for others, nor fills its memory, nor changes what it answers.

        What blocks the server does so each time, what the machine does otherwise does not: hence up to three tries.
        """
        before = self.known_answer()
        peak = MemoryPeak(self.process)
        seen: list[tuple[float, float]] = []
        while not seen or (seen[-1][0] >= LIMIT_S * seen[-1][1] and len(seen) < _TRIES):
            slower = slowdown()
            with probing(self.process) as waits:
                fuzz()
            assert waits.count
            seen.append((waits.worst_s, max(slower, slowdown())))
        report("longest wait for /health", seen[-1][0])
        report("server memory", peak.megabytes)
        self.check_log()
        assert self.process.process.poll() is None
        assert seen[-1][0] < LIMIT_S * seen[-1][1], f"pairs of the wait in seconds and the machine's slowdown: {seen}"
        assert peak.megabytes < LIMIT_MB
        self.wait_idle()
        assert self.known_answer() == before

    def known_answer(self) -> Any:
        """What a request with a seed is answered: the same at any time."""
        body = {"model": "sim-chat", "prompt": "a b c", "max_tokens": 8, "seed": 1}
        answer = self.ask(Call("POST", "/v1/completions", json.dumps(body).encode()))
        assert answer.status == 200, answer.body
        return json.loads(answer.body)["choices"]

    def wait_idle(self) -> None:
        """Until nothing is under way, which is soon: the clients have left."""
        until = time.monotonic() + _IDLE_WITHIN_S
        while (load := self._load()) and time.monotonic() < until:
            time.sleep(0.01)
        assert not load, load

    def _load(self) -> dict[str, int]:
        engine = json.loads(self.ask(Call("GET", "/health")).body)["engine"]
        load = json.loads(self.ask(Call("GET", "/load")).body)
        return {
            name: count
            for name, count in {**engine, **load}.items()
            if name in ("running", "waiting", "server_load") and count
        }

    def check_log(self) -> None:
        """No traceback, and nothing that a terminal would obey."""
        text = self.log.read_text(errors="surrogateescape")
        assert "Traceback" not in text, text[text.index("Traceback") :][:6_000]
        assert " ERROR" not in text, text[text.index(" ERROR") :][:2_000]
        assert not (found := _UNPRINTABLE.search(text)), text[max(0, found.start() - 200) : found.end() + 100].encode(
            errors="replace"
        )


@contextlib.contextmanager
def fuzzed_server(name: str, folder: Path) -> Iterator[FuzzedServer]:
    arguments = SERVERS[name]
    log = folder / "log"
    with (
        log.open("wb") as output,
        server_process(
            *arguments, "--max-model-len", "200", "--runtime-lora", "true", "--log-interval", "0", "--verbose",
            ulimit=ADDRESS_SPACE, log=output,
        ) as process,
    ):  # fmt: skip
        yield FuzzedServer(process, log, KEY if KEY in arguments else "", list(SERVERS).index(name))


def servers(*names: str, fast: str) -> list[Any]:
    """For a fixture: all of them, but only one of them in the fast tests."""
    return [pytest.param(name, marks=() if name == fast else pytest.mark.slow) for name in names]


def fuzz_settings(examples: int) -> settings:
    """The same examples each time, unless FUZZ_SEED is set; FUZZ_EXAMPLES times as many."""
    return settings(
        max_examples=max(1, int(examples * EXAMPLES)),
        derandomize=CHOSEN_SEED is None,
        deadline=None,
        database=None,
        suppress_health_check=list(HealthCheck),
    )


def fuzzing(examples: int) -> Callable[[Callable[..., None]], Callable[[], None]]:
    """Makes a function of hypothesis a fuzz test by these settings."""

    def decorate(test: Callable[..., None]) -> Callable[[], None]:
        return fuzz_settings(examples)(test if CHOSEN_SEED is None else seed(int(CHOSEN_SEED))(test))

    return decorate


def run_machine(machine: type[RuleBasedStateMachine], examples: int) -> None:
    """The same for a state machine."""
    run_state_machine_as_test(
        machine if CHOSEN_SEED is None else seed(int(CHOSEN_SEED))(machine), settings=fuzz_settings(examples)
    )
