"""Observes which requested features a server honours, in two short answers before the load. Pure."""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from dataclasses import dataclass, replace

from bench.load.driver import WARMUP_TOKENS
from bench.load.preflight import Agreement
from bench.load.settings import LoadSettings
from bench.outcome import Outcome
from bench.records.record import Record
from bench.workload.body import BodyForm, EndpointKind
from bench.workload.datasets import Prompt

Ask = Callable[[BodyForm, Prompt], Awaitable[Record]]

_SHORT_QUESTION = "Answer with one word and nothing else: is water wet?"


def short_prompt(kind: EndpointKind) -> Prompt:
    """A question that a model would answer in fewer tokens than requested."""
    if kind == "completions":
        return Prompt(WARMUP_TOKENS, text=_SHORT_QUESTION)
    return Prompt(WARMUP_TOKENS, messages=[{"role": "user", "content": _SHORT_QUESTION}])


@dataclass(frozen=True, slots=True)
class Length:
    """The length of an answer that differs from the requested one, and its finish reason."""

    asked: int
    got: int
    finish_reason: str | None

    def __str__(self) -> str:
        reason = f", finish reason {self.finish_reason!r}" if self.finish_reason else ""
        return f"asked for {self.asked} tokens, it sent {self.got}{reason}"


@dataclass(frozen=True, slots=True)
class ServerBehaviour:
    """What the server was observed to honour; None if unknown. `wrong_length` is an example of a wrong length."""

    keeps_length: bool | None = None
    keeps_connections: bool | None = None
    wrong_length: Length | None = None


async def observe(ask: Ask, agreed: Agreement) -> tuple[Agreement, ServerBehaviour]:
    """Send a second request, whose answer would be short, and compare both answers with what was requested.

    If the server ignores the field for the length, try the field's other name.
    """
    prompt = short_prompt(agreed.form.kind)
    second = await ask(agreed.form, prompt)
    behaviour = behaviour_of(agreed.form, agreed.answer, second)
    too_long = behaviour.wrong_length is not None and behaviour.wrong_length.got > behaviour.wrong_length.asked
    if too_long and agreed.form.features.length_field == "max_tokens":
        features = replace(agreed.form.features, length_field="max_completion_tokens")
        other = replace(agreed.form, features=features)
        third = await ask(other, prompt)
        if third.outcome is Outcome.OK and _wrong_length(third) is None and _tokens(third) is not None:
            return replace(agreed, form=other), behaviour_of(other, third, third)
    return agreed, behaviour


def behaviour_of(form: BodyForm, first: Record, second: Record) -> ServerBehaviour:
    """What two consecutive answers show."""
    answered = [record for record in (first, second) if record.outcome is Outcome.OK]
    keeps_connections = None if second.outcome is not Outcome.OK else not second.opened
    if not form.features.fixed_length:
        return ServerBehaviour(None, keeps_connections)
    wrong = next(filter(None, map(_wrong_length, answered)), None)
    if wrong is not None:
        return ServerBehaviour(False, keeps_connections, wrong)
    known = any(_tokens(record) is not None for record in answered)
    return ServerBehaviour(True if known else None, keeps_connections)


def settle_length(settings: LoadSettings, form: BodyForm, behaviour: ServerBehaviour) -> tuple[bool, list[str]]:
    """Whether another length than requested is a failure, and a note if the server does not keep the length.

    It is a failure only if the user requested a length; otherwise the report mentions it.
    """
    if settings.fixed_length is False:
        return False, []
    required = settings.fixed_length is True
    if form.features.fixed_length and behaviour.wrong_length is None:
        return required, []
    if behaviour.wrong_length is not None:
        why = f"the server does not keep the requested length ({behaviour.wrong_length})"
    else:
        why = "the server rejects min_tokens and ignore_eos"
    if required:
        remedy = "use --no-ignore-eos to let the model end them"
        return True, [f"{why}: answers of another length count as length_mismatch; {remedy}"]
    return False, [f"{why}: the model decides how long answers are"]


def drop_length(agreed: Agreement, behaviour: ServerBehaviour, *, required: bool) -> Agreement:
    """The form without the fixed length if the server ignores it, unless a length is required anyway."""
    if behaviour.wrong_length is None or required:
        return agreed
    return replace(agreed, form=replace(agreed.form, features=replace(agreed.form.features, fixed_length=False)))


def _tokens(record: Record) -> int | None:
    """The tokens of a short answer: by usage, else by events if the finish reason shows that each was one token."""
    if record.completion_tokens is not None:
        return record.completion_tokens
    return record.events if record.finish_reason == "length" and record.events == record.asked_tokens else None


def _wrong_length(record: Record) -> Length | None:
    asked, tokens = record.asked_tokens, _tokens(record)
    if asked is None or tokens == asked:
        return None
    if tokens is None:
        # Fewer events prove nothing, as one may hold several tokens; a finish reason of "stop" does.
        ended_early = record.finish_reason == "stop" and 0 < record.events < asked
        if not ended_early and record.events <= asked:
            return None
        tokens = record.events
    return Length(asked, tokens, record.finish_reason)
