"""Engines in this process for tests of ms-swift's API: the simulated or a scripted one, on its own loop."""

from __future__ import annotations

import contextlib
from collections.abc import Iterator, Sequence
from typing import Any

from mock_server.engine.author.chat_template import render_chat
from mock_server.engine.author.prose import Author
from mock_server.engine.author.tokenizer import Tokenizer
from mock_server.engine.base import ChatOptions, ChatTurn, Delta, Engine
from mock_server.engine.sim.clock import RealClock
from mock_server.engine.sim.profiles import PROFILES
from mock_server.engine.sim.scripted import Script, ScriptedEngine, ScriptedRequest, TimedDelta
from mock_server.engine.sim.simulated import SimulatedEngine
from mock_server.offline import GenerationConfig, LocalEngine, Template
from mock_server.offline.loop_thread import LoopThread
from mock_server.offline.lora import Adapters

TOKENIZER = Tokenizer()
NEVER_S = 1e6


class BundledTemplate(Template):
    """The bundled tokenizer's own template, which is not in Jinja."""

    def __init__(self, default_system: str | None = None) -> None:
        super().__init__("bundled", TOKENIZER, None, source="bundled", default_system=default_system)

    def encode(self, turns: Sequence[ChatTurn], *, continue_final: bool = False) -> list[int]:
        options = ChatOptions(add_generation_prompt=not continue_final, continue_final=continue_final)
        return render_chat(TOKENIZER, turns, options)

    def decode(self, token_ids: Sequence[int]) -> str:
        return TOKENIZER.decode(token_ids, special=True)


def asked(*queries: str) -> list[dict[str, Any]]:
    return [{"query": query} for query in queries]


@contextlib.contextmanager
def local_engine(
    core: Engine | None = None, *, max_num_seqs: int = 256, max_lora_rank: int = 0, **settings: Any
) -> Iterator[LocalEngine]:
    """`settings` are for its generation config, which is greedy by default."""
    core = core or SimulatedEngine(PROFILES["instant"], RealClock(), Author(TOKENIZER, "sim-chat"))
    loop = LoopThread("engine under test")
    loop.run(core.start())
    adapters = Adapters(core, limit=1 if max_lora_rank else 0, max_rank=max_lora_rank)
    with LocalEngine(
        core,
        loop,
        tokenizer=TOKENIZER,
        generation_config=GenerationConfig(**{"do_sample": False, **settings}),
        model_dir="nowhere",
        max_num_seqs=max_num_seqs,
        adapters=adapters,
    ) as engine:
        yield engine


def scripted(script: Script, **options: Any) -> ScriptedEngine:
    return ScriptedEngine(script, RealClock(), TOKENIZER, **options)


def one_word_then_nothing(request: ScriptedRequest) -> Iterator[TimedDelta]:
    """Begins to answer, and never continues."""
    yield TimedDelta(0, Delta(0, TOKENIZER.encode("Well"), None))
    yield TimedDelta(NEVER_S, Delta(0, (), "length"))


def echo(request: ScriptedRequest) -> Iterator[TimedDelta]:
    """The question's own words, token by token, without delay."""
    shown = [token for token in request.prompt_token_ids if token not in TOKENIZER.special_ids.values()]
    for token in shown[: request.params.max_tokens]:
        yield TimedDelta(0, Delta(0, (token,), None))
    yield TimedDelta(0, Delta(0, (TOKENIZER.eos_token_id,), "stop"))
