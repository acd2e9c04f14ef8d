"""The steps of a call, without I/O: both the blocking and the asynchronous client carry them out.

A call is a generator. It yields a `Send`, a `Wait` or a `Once`. The client carries that step out, and sends back the
`Reply` or throws in the error.
"""

from __future__ import annotations

from collections.abc import Callable, Generator, Hashable
from dataclasses import dataclass, field
from functools import cache
from threading import Lock
from time import monotonic
from types import ModuleType
from typing import TYPE_CHECKING, Any, NamedTuple, TypeVar

from pydantic_core import ValidationError

from sdk.answer_limit import MAX_ANSWER_BYTES, ArrivingBody, check_weight
from sdk.deadline import Deadline
from sdk.error_body import (
    MAX_ERROR_BYTES,
    is_about_chat_template,
    is_about_stream_options,
    not_an_answer,
    status_error,
    unfit_head,
)
from sdk.errors import AuthenticationError, ModelNotFoundError, ProtocolError, SDKError, StatusError, StreamServerError
from sdk.json_weight import LIGHT_BYTES
from sdk.known_keys import keys_of, without_keys
from sdk.request import Endpoint, Question
from sdk.retry import RetryPolicy
from sdk.shown_text import MAX_QUOTED, shown
from sdk.transport.base import AsyncExchange, Exchange, Head, Request

if TYPE_CHECKING:  # imported when the first answer is read
    from pydantic import BaseModel

    from sdk.types import ChatCompletionResponse, CompletionResponse, ModelList

CARDS_TTL_S = 60.0
# With one of these, the server will reject questions as it rejected the list of models.
_ALSO_FOR_ANSWERS = frozenset({401, 403, 429, 503})
T = TypeVar("T", bound="BaseModel")


class Send(NamedTuple):
    """Send a request; with `stream`, the reply to a stream of events is its exchange."""

    request: Request
    stream: bool = False
    max_bytes: int = MAX_ANSWER_BYTES

    def body(self, head: Head) -> ArrivingBody:
        """Collects the body that follows a head: all of an answer, or as much of another body as an error quotes."""
        is_answer = head.status < 300 and not self.stream and unfit_head(head, self.request) is None
        return ArrivingBody(self.max_bytes if is_answer else MAX_ERROR_BYTES, is_answer=is_answer)


class Wait(NamedTuple):
    """Wait before the next attempt."""

    seconds: float


class Once(NamedTuple):
    """Make another call once for all the calls that need it at the same time; those have the same `key`."""

    key: Hashable
    call: Callable[[], Generator[Step, Any, object]]


class Reply(NamedTuple):
    """A response: its head with the whole body, or with the exchange that a stream arrives on."""

    head: Head
    body: bytes = b""
    exchange: Exchange | AsyncExchange | None = None


Step = Send | Wait | Once
Result = TypeVar("Result")
Call = Generator[Step, Any, Result]


@dataclass(slots=True)
class Memory:
    """What earlier calls learnt about an endpoint: its models, which of them cannot chat, and if it reports usage."""

    cards: ModelList | None = None
    cards_at: float = 0.0
    no_chat: set[str] = field(default_factory=set)
    refuses_usage: bool = False
    lock: Lock = field(default_factory=Lock)

    def fresh_cards(self) -> ModelList | None:
        return self.cards if monotonic() < self.cards_at + CARDS_TTL_S else None

    def remember_cards(self, cards: ModelList | None) -> None:
        with self.lock:
            self.cards, self.cards_at = cards, monotonic()

    def is_chat(self, model: str) -> bool | None:
        """Whether a model chats, as far as earlier calls learnt; None when they did not."""
        if model in self.no_chat:
            return False
        cards = self.cards.data if self.cards else ()
        return next((card.is_chat for card in cards if card.id == model), None)


class Caller:
    """Makes calls for one endpoint."""

    def __init__(self, endpoint: Endpoint, retries: RetryPolicy, max_bytes: int = MAX_ANSWER_BYTES) -> None:
        self.endpoint = endpoint
        self.retries = retries
        self.max_bytes = max_bytes
        self.memory: Memory = Memory()

    def models(self, deadline: Deadline) -> Call[ModelList]:
        """The models that the server offers, fetched at each call."""
        request = self.endpoint.request("/models")
        reply = yield from self._attempts(Send(request, max_bytes=self.max_bytes), deadline)
        try:
            cards: ModelList = decode(_models().ModelList, reply.body, request, self.max_bytes)
        except SDKError as error:
            raise without_keys(error, request) from None
        self.memory.remember_cards(cards)
        return cards

    def ask(self, question: Question, deadline: Deadline, is_chat: bool | None) -> Call[Answered]:
        """The reply to a question.

        It is a chat or a completion according to `is_chat`, the model's card, or earlier answers; otherwise a chat.
        """
        decided = is_chat
        if decided is None:
            had_cards = yield from self._know_cards(deadline)
            decided = self.memory.is_chat(question.model) is not False
        else:
            had_cards = True
        try:
            return (yield from self._ask(question, deadline, decided))
        except ModelNotFoundError as error:
            if had_cards and (yield from self._now_served(question.model, deadline)):
                return (yield from self._ask(question, deadline, decided))
            self._name_served(error, question.model)
            without_keys(error, self.endpoint.request("/models"))  # a model's name may quote a key, too
            raise
        except StatusError as error:
            if is_chat is not None or not decided or not question.is_plain or not is_about_chat_template(error):
                raise
            self.memory.no_chat.add(question.model)
            return (yield from self._ask(question, deadline, False))

    def _ask(self, question: Question, deadline: Deadline, is_chat: bool) -> Call[Answered]:
        ask_usage = question.stream and not self.memory.refuses_usage
        request = self._request(question, is_chat, ask_usage)
        try:
            reply = yield from self._attempts(Send(request, question.stream, self.max_bytes), deadline, question.model)
        except StatusError as error:
            if not ask_usage or "stream_options" in question.config or not is_about_stream_options(error):
                raise
            self.memory.refuses_usage = True
            request = self._request(question, is_chat, False)
            reply = yield from self._attempts(Send(request, question.stream, self.max_bytes), deadline, question.model)
        return Answered(question, deadline, request, reply, is_chat, self.max_bytes)

    def _request(self, question: Question, is_chat: bool, ask_usage: bool) -> Request:
        make = question.chat_body if is_chat else question.completion_body
        path = "/chat/completions" if is_chat else "/completions"
        return self.endpoint.request(path, make(ask_usage=ask_usage), question.extra_headers)

    def _know_cards(self, deadline: Deadline) -> Call[bool]:
        """Fetch the cards unless they are fresh; returns whether they were."""
        if self.memory.fresh_cards() is not None:
            return True
        yield Once(("cards", deadline.timeouts), lambda: self._learn_cards(deadline))
        return False

    def _learn_cards(self, deadline: Deadline) -> Call[None]:
        try:
            yield from self.models(deadline)
        except (ProtocolError, StreamServerError):  # a server may have no list of models
            self.memory.remember_cards(_models().ModelList(data=[]))
        except StatusError as error:
            if error.status in _ALSO_FOR_ANSWERS:
                raise
            self.memory.remember_cards(_models().ModelList(data=[]))

    def _now_served(self, model: str, deadline: Deadline) -> Call[bool]:
        """Whether the server now offers a model that it did not know a moment ago: adapters may load at any time."""
        try:
            yield Once(("models", deadline.timeouts), lambda: self.models(deadline))
        except SDKError:
            return False
        return self.memory.cards is not None and any(card.id == model for card in self.memory.cards.data)

    def _name_served(self, error: ModelNotFoundError, model: str) -> None:
        served = [card.id for card in self.memory.cards.data] if self.memory.cards else []
        if served and not all(name in error.message for name in served):
            error.message += f" (model {model!r}; served: {shown(', '.join(served), MAX_QUOTED)})"

    def _attempts(self, step: Send, deadline: Deadline, model: str | None = None) -> Call[Reply]:
        attempt = 1
        while True:
            try:
                reply: Reply = yield step
                if reply.head.status >= 400:
                    body = keys_of(step.request).hide_bytes(reply.body)  # before an excerpt cuts a key in two
                    raise status_error(reply.head, body, step.request, model)
                if (unfit := unfit_head(reply.head, step.request)) is not None:
                    if reply.exchange is not None:
                        reply.exchange.close()
                    raise unfit
                return reply
            except SDKError as error:
                error.attempts = attempt
                error.url = step.request.url
                error.request_id = error.request_id or sent_request_id(step.request)
                if isinstance(error, AuthenticationError) and self.endpoint.key_advice:
                    error.message += f" ({self.endpoint.key_advice})"
                without_keys(error, step.request)
                delay_s = self.retries.delay_s(error, attempt)
                left_s = deadline.total_left_s()
                if delay_s is None or (left_s is not None and delay_s >= left_s):
                    raise
            yield Wait(delay_s)
            attempt += 1


@cache
def _models() -> ModuleType:
    """The pydantic models of answers, imported with the first answer because the import is slow."""
    from sdk import types  # this form also works while another thread is finishing the import

    return types


@dataclass(frozen=True, slots=True)
class Answered:
    """A question and its reply."""

    question: Question
    deadline: Deadline
    request: Request
    reply: Reply
    is_chat: bool
    max_bytes: int = MAX_ANSWER_BYTES

    @property
    def request_id(self) -> str:
        """The server's id of the request if it names one, else the id that was sent."""
        return self.reply.head.headers.get("x-request-id") or sent_request_id(self.request)

    def whole_chat(self) -> ChatCompletionResponse:
        """The answer to a chat. Raises StreamServerError if the server reports an error instead, or ProtocolError."""
        answer: ChatCompletionResponse = self._whole(_models().ChatCompletionResponse)
        return answer

    def whole_completion(self) -> CompletionResponse:
        """The answer to a completion. Raises as `whole_chat`."""
        answer: CompletionResponse = self._whole(_models().CompletionResponse)
        return answer

    def _whole(self, kind: type[T]) -> T:
        try:
            return decode(kind, self.reply.body, self.request, self.max_bytes)
        except SDKError as error:
            raise with_call_facts(error, self.question, self.deadline, self.request) from None

    def exchange(self) -> Any:
        """The exchange that the stream arrives on. Raises as `whole_chat` if the answer is not a stream."""
        if self.reply.exchange is None:
            raise with_call_facts(
                not_an_answer(self.reply.body, self.request.url), self.question, self.deadline, self.request
            )
        return self.reply.exchange


def with_call_facts(
    error: SDKError, question: Question, deadline: Deadline, request: Request | None = None
) -> SDKError:
    """The error, with the facts of its call filled in."""
    error.model = question.model
    error.elapsed_s = deadline.elapsed_s()
    if request is not None and error.request_id is None:
        error.request_id = sent_request_id(request)
    return error if request is None else without_keys(error, request)


def sent_request_id(request: Request) -> str:
    """The id that the SDK sent with a request."""
    return next((value for name, value in request.headers if name.lower() == "x-request-id"), "")


def decode(kind: type[T], body: bytes, request: Request, max_bytes: int = MAX_ANSWER_BYTES) -> T:
    """A whole answer. Raises StreamServerError if the body reports an error, ProtocolError if it does not fit."""
    check_weight(body, max_bytes)
    wrong, answer = _decode_quickly(kind, body)
    if answer is None:
        answer = _decode_odd(kind, body, request, wrong)
    choices: Any = answer.__dict__["choices"] if "choices" in kind.__pydantic_fields__ else True
    if choices and choices is not True:
        own = choices[0].__pydantic_extra__
        if own and ("message" in own or "delta" in own):
            answer = _decode_odd(kind, body, request)  # the answer to a completion, in the form of a chat's
            choices = answer.__dict__["choices"]
        if len(choices) > 1:
            _number_by_place(choices)
    extra = answer.__pydantic_extra__
    if not choices or (extra and "error" in extra):
        problem = not_an_answer(body, request.url, "it has no choices")
        if not choices or isinstance(problem, StreamServerError):
            problem.partial = _text(choices)
            raise problem
    return answer


def _number_by_place(choices: list[Any]) -> None:
    for place, choice in enumerate(choices):
        if "index" not in choice.model_fields_set:
            choice.index = place


def _decode_quickly(kind: type[T], body: bytes) -> tuple[str, T | None]:
    """A small answer whose fields have the right types; for any other, what is wrong if that is known.

    When validation fails, its error holds several copies of the input. That is too much for a large answer.
    """
    if len(body) > LIGHT_BYTES:
        return "", None
    try:
        return "", kind.model_validate_json(body)
    except ValidationError as error:
        return _what_is_wrong(error), None


def _decode_odd(kind: type[T], body: bytes, request: Request, wrong: str = "") -> T:
    from sdk.odd_answer import read_odd_answer  # few servers need it

    try:
        return read_odd_answer(kind, body)
    except ValidationError as error:
        wrong = wrong or _what_is_wrong(error)
    except (ValueError, RecursionError):
        wrong = wrong or "it is not JSON"
    raise not_an_answer(
        body, request.url, wrong
    )  # outside the handler: what was parsed is freed before the body is parsed again


def _what_is_wrong(error: ValidationError) -> str:
    """The first thing that pydantic finds wrong, with its place, such as `choices[0].message`."""
    first = error.errors(include_url=False, include_context=False, include_input=False)[0]
    steps = [step for step in first["loc"] if isinstance(step, int) or step.isidentifier()]
    if first["loc"] and steps[-1:] and steps[-1] in ("str", "int", "float", "bool") and len(steps) > 1:
        steps.pop()  # the branch of a union
    place = "".join(f"[{step}]" if isinstance(step, int) else f".{step}" for step in steps).lstrip(".")
    said = first["msg"][:1].lower() + first["msg"][1:]
    return f"{place}: {said}" if place else said


def _text(choices: Any) -> str:
    """The text of the first choice, which the server sent together with an error."""
    first = choices[0] if isinstance(choices, list) and choices else None
    message = getattr(first, "message", first)
    text = getattr(message, "content", None) or getattr(first, "text", None)
    return text if isinstance(text, str) else ""
