"""Before any load: does the server answer, does it serve the model, which parts of a request does it accept."""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from dataclasses import dataclass, replace
from typing import Any, Protocol

import msgspec

from bench.answer.odd_fields import MOST_COUNT
from bench.answer.server_message import text_of, unfit_answer
from bench.load.diagnosis import key_message, plain_http_hint
from bench.load.driver import WARMUP_TOKENS, Driver
from bench.load.plan import Start
from bench.load.proxies import proxy_note
from bench.load.settings import LoadSettings
from bench.outcome import Outcome, status_outcome
from bench.records.record import WARMUP, Record
from bench.records.run import Negotiated
from bench.remedies import remedy
from bench.shown_text import shown
from bench.target import (
    ConnectError,
    ConnectTimeoutError,
    RequestTimeoutError,
    SDKError,
    StatusError,
    Target,
    TLSError,
)
from bench.units import plural
from bench.workload.body import BodyForm, EndpointKind, concessions
from bench.workload.datasets import Prompt, PromptList, SyntheticPrompts, Workload
from bench.workload.prompts import bundled_prompts, load_prompts
from bench.workload.synthetic import WORDS, single_tokens
from streamgauge.nearest import nearest

# Of models: the longest name, how many a message lists, and how much of each name.
_MOST_NAME, _MOST_NAMES, _MOST_SHOWN_NAME = 1024, 20, 80


class TargetError(Exception):
    """The server cannot be measured as requested. `wrong_use` is whether other options would help.

    The message is one line, safe to print; `log` has the lines of a log to print below it.
    """

    def __init__(self, message: str, *, wrong_use: bool = True, log: str = "") -> None:
        super().__init__("\n".join(filter(None, (shown(message), log))))
        self.wrong_use = wrong_use


class RefusedError(TargetError):
    """The server did not answer the first request; `record` is how that one ended."""

    def __init__(self, record: Record) -> None:
        is_refusal = record.outcome is Outcome.HTTP_4XX
        super().__init__(f"the first request failed, so nothing was measured: {record.error}", wrong_use=is_refusal)
        self.record = record


@dataclass(frozen=True, slots=True)
class Model:
    """The model to request, and what its card states; None for what it does not state."""

    name: str
    served: list[str] | None = None
    is_chat: bool | None = None
    max_model_len: int | None = None


async def find_model(target: Target, asked: str | None) -> Model:
    """The model to measure: the requested one, else the first that the server lists. Raises TargetError."""
    try:
        head, body = await target.get("/models")
    except ConnectError as error:
        raise TargetError(_absent_message(target, error)) from None
    except SDKError as error:
        status = error.status if isinstance(error, StatusError) else None
        if status in (401, 403):
            raise TargetError(key_message(target, _models_url(target), _status_words(error))) from None
        if asked is None and (status is None or status >= 429):
            raise TargetError(_silent_message(target, error), wrong_use=status is None) from None
        return _unlisted(target, asked, _status_words(error), is_missing=status == 404)
    cards = _cards(body)
    if cards is None:
        _, said = unfit_answer(head, body, streamed=False, wanted="a list of models")
        return _unlisted(target, asked, target.redact(said))
    by_name = {card["id"]: card for card in cards}
    if not by_name:
        return _unlisted(target, asked, "it lists none")
    name = next(iter(by_name)) if asked is None else asked
    if name not in by_name:
        raise TargetError(target.redact(_unserved_message(name, list(by_name))))
    card = by_name[name]
    is_chat, longest = card.get("is_chat"), card.get("max_model_len")
    return Model(
        name,
        list(by_name),
        is_chat if isinstance(is_chat, bool) else None,
        longest if type(longest) is int and 0 < longest <= MOST_COUNT else None,
    )


def _cards(body: bytes) -> list[dict[str, Any]] | None:
    """The models of a list; None if this is not a list of models."""
    try:
        content = msgspec.json.decode(body)
    except (ValueError, RecursionError):
        return None
    cards = content.get("data") if isinstance(content, dict) else None
    if not isinstance(cards, list) or not all(isinstance(card, dict) and "id" in card for card in cards):
        return None
    for card in cards:
        card["id"] = str(card["id"])
    return [card for card in cards if len(card["id"]) <= _MOST_NAME]


def _unserved_message(name: str, served: list[str]) -> str:
    """Which models the server has instead of the requested one, as far as they fit in a line."""
    told = [shown(other, _MOST_SHOWN_NAME) for other in served[:_MOST_NAMES]]
    more = f" and {plural(len(served) - len(told), 'other')}" if len(served) > len(told) else ""
    near = nearest(name, told)
    hint = f"; did you mean {near}?" if near else ""
    return f"model {name!r} is not served here; served: {', '.join(told)}{more}{hint}"


def choose_kind(settings: LoadSettings, model: Model) -> EndpointKind:
    """Chat or completions: as requested, else by the path, else by the model card, else chat."""
    if settings.endpoint is not None:
        return settings.endpoint
    if settings.address is not None and settings.address.kind is not None:
        return settings.address.kind
    return "completions" if model.is_chat is False else "chat"


async def make_workload(
    settings: LoadSettings, target: Target, model: Model, kind: EndpointKind, nonce: str | None
) -> tuple[Workload, list[str]]:
    """The prompts to send, and notes on how they differ from the request. Raises PromptFileError or TargetError."""
    seed, output_len = settings.seed, settings.output_len
    if settings.input_len is None:
        if settings.prompts is None:
            prompts, name = bundled_prompts(kind, output_len), "the built-in set"
        else:
            prompts, name = load_prompts(settings.prompts, kind, output_len), settings.prompts.name
        return PromptList(prompts, name=name, seed=seed, nonce=nonce), []
    length = settings.input_len
    if model.max_model_len is not None and length + output_len > model.max_model_len:
        raise TargetError(
            f"--input-len {length} and --output-len {output_len} together exceed "
            f"the {model.max_model_len} tokens that {model.name} accepts"
        )
    found = await _count_by_server(target, model, kind)
    if found is None:
        words, count, name = list(WORDS), length, f"synthetic prompts of about {plural(length, 'token')}"
        note = f"--input-len {length} is approximate: this server has no /tokenize that counts our words one by one"
    else:
        words, besides = found
        count, name, note = length - besides, f"synthetic prompts of {plural(length, 'token')}", ""
        if count < 1:
            raise TargetError(f"--input-len {length} is too short: the chat template alone takes {besides} tokens")
    workload = SyntheticPrompts(words, count, output_len, name=name, chat=kind == "chat", seed=seed, nonce=nonce)
    return workload, [note] if note else []


async def _count_by_server(target: Target, model: Model, kind: EndpointKind) -> tuple[list[str], int] | None:
    """The words that are one token each, by the server's /tokenize in vLLM's form; None if it has none."""

    async def count_tokens(text: str) -> int:
        body: dict[str, Any] = {"model": model.name}
        if kind == "chat":
            body |= {"messages": [{"role": "user", "content": text}], "add_generation_prompt": True}
        else:
            body |= {"prompt": text}
        answer = await target.post(target.address.root + "/tokenize", body)
        return int(answer["count"])

    try:
        return await single_tokens(count_tokens)
    except (SDKError, KeyError, TypeError, ValueError, OverflowError):
        return None  # no /tokenize, or another form of it


@dataclass(frozen=True, slots=True)
class Agreement:
    """The form of request that the server accepts, what it refused, and an answer to this form."""

    form: BodyForm
    refused: list[str]
    answer: Record

    def facts(self) -> Negotiated:
        """The facts for the run's file."""
        features = self.form.features
        return Negotiated(
            usage=self.answer.completion_tokens is not None,
            continuous_usage=self.answer.continuous_usage,
            fixed_length=features.fixed_length,
            refused=self.refused,
        )


async def negotiate(probe: Callable[[BodyForm], Awaitable[Record]], form: BodyForm) -> Agreement:
    """Find a form of request that the server accepts, leaving out one part at a time, then several.

    Raises RefusedError if it accepts none.
    """
    answer = first = await probe(form)
    refused: list[str] = []
    while answer.outcome is Outcome.HTTP_4XX and answer.status in (400, 422):
        options = concessions(form.features, answer.error or "")
        if not options:
            raise RefusedError(first)
        for name, features in options:
            attempt = replace(form, features=features)
            answer = await probe(attempt)
            if answer.outcome is Outcome.OK:
                return Agreement(attempt, [*refused, name], answer)
        refused.append(options[0][0])
        form = replace(form, features=options[0][1])
    if answer.outcome is not Outcome.OK:
        raise RefusedError(answer)
    return Agreement(form, refused, answer)


class Probe(Protocol):
    """Sends one short request."""

    def __call__(self, form: BodyForm, prompt: Prompt | None = None) -> Awaitable[Record]: ...


def probe_with(make_driver: Callable[[BodyForm], Driver], now_ns: Callable[[], int]) -> Probe:
    """A probe that sends one short warm-up request in a given form, with the first prompt by default."""

    async def probe(form: BodyForm, prompt: Prompt | None = None) -> Record:
        return await make_driver(form).send(Start(-1, now_ns()), 0, WARMUP, WARMUP_TOKENS, prompt, first=True)

    return probe


def _models_url(target: Target) -> str:
    return f"{target.address}/models"


def _unlisted(target: Target, asked: str | None, why: str, *, is_missing: bool = False) -> Model:
    if asked is None:
        hint = "" if "--" in why else "; name the model with --model, or check the address in --base-url"
        if is_missing and target.address.api.prefix != "/v1":
            hint += f" (most servers have their API at {target.address.api.origin}/v1)"
        raise TargetError(f"{_models_url(target)} has no list of models ({why}){hint}")
    return Model(asked)


def _status_words(error: SDKError) -> str:
    """The server's message; of a web page, its subject."""
    if isinstance(error, StatusError) and not error.server_message:
        return f"HTTP {error.status}: {text_of(error.body)}"
    return error.message


def _silent_message(target: Target, error: SDKError) -> str:
    """The message if the server does not speak HTTP, is too slow, or cannot answer now; --model would not help."""
    is_plain = target.address.api.origin.scheme == "http"
    if isinstance(error, StatusError):
        outcome = status_outcome(error.status)
        said = _status_words(error)
        advice = remedy(outcome, error.status, said, under_load=False)
        return f"{_models_url(target)} failed, so nothing was measured: {said}; {advice}"
    hint = plain_http_hint(target) if isinstance(error, ConnectTimeoutError) else ""
    if is_plain and not isinstance(error, RequestTimeoutError):
        hint = "; does it speak https?"
    if isinstance(error, ConnectTimeoutError) and target.unused_proxy is not None:
        hint += f" ({proxy_note(target.unused_proxy)})"
    return f"{target.address} does not answer as an OpenAI-compatible server does: {error.message}{hint}"


def _absent_message(target: Target, error: ConnectError) -> str:
    said = target.redact(error.problem).replace(str(target.address.api.origin), str(target.address), 1)
    proxy = "" if target.unused_proxy is None else f" ({proxy_note(target.unused_proxy)})"
    if isinstance(error, TLSError):  # a server answered
        if error.reason == "certificate":
            said += "; to trust it, name its authority in SSL_CERT_FILE"
        return said + (plain_http_hint(target) if error.reason == "plain http" else "") + proxy
    if error.remedy:
        said += f"; {error.remedy}"
    advice = "Check the name in --base-url." if error.reason == "unresolved" else "Is the server running?"
    return f"{said}. {advice} Leave out --base-url to use the embedded server.{proxy}"
