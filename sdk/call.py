"""What a call does, step by step, without I/O: one description that the sync and the async client both follow.

A call is a generator. It yields a `Send`, a `Wait` or a `Once`, and the client that drives it sends back the `Reply`,
or throws in the error.
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
    not_an_answer,
    says_no_chat_template,
    says_no_usage,
    status_error,
    unfit_head,
)
from sdk.errors import AuthenticationError, ModelNotFoundError, ProtocolError, SDKError, StatusError, StreamServerError
from sdk.json_weight import LIGHT_BYTES
from sdk.known_keys import keys_of, without_keys
from sdk.request import Endpoint, Question
from sdk.retry import RetryPolicy
from sdk.shown_text import MAX_SAID, shown
from sdk.transport.base import AsyncExchange, Exchange, Head, Request

if TYPE_CHECKING:  # imported when an answer is read
    from pydantic import BaseModel

    from sdk.types import ChatCompletionResponse, CompletionResponse, ModelList

CARDS_TTL_S = 60.0
# A list of models that is refused so says that questions will be, too.
_ALSO_FOR_ANSWERS = frozenset({401, 403, 429, 503})
T = TypeVar("T", bound="BaseModel")


class Send(NamedTuple):
    """Send it; `stream` asks for the exchange itself when the answer is a stream of events."""

    request: Request
    stream: bool = False
    max_bytes: int = MAX_ANSWER_BYTES

    def body(self, head: Head) -> ArrivingBody:
        """Takes the body that follows a head: all of it if it is an answer, else as much as an error quotes."""
        is_answer = head.status < 300 and not self.stream and unfit_head(head, self.request) is None
        return ArrivingBody(self.max_bytes if is_answer else MAX_ERROR_BYTES, is_answer=is_answer)


class Wait(NamedTuple):
    """Wait before the next attempt."""

    seconds: float


class Once(NamedTuple):
    """Follow another call once for all calls that want the same at the same time, as told by `key`."""

    key: Hashable
    call: Callable[[], Generator[Step, Any, object]]


class Reply(NamedTuple):
    """What came: the whole body, or for a stream the exchange that brings it."""

    head: Head
    body: bytes = b""
    exchange: Exchange | AsyncExchange | None = None


Step = Send | Wait | Once
Result = TypeVar("Result")
Call = Generator[Step, Any, Result]


@dataclass(slots=True)
class Memory:
    """What was learnt about one endpoint: its cards, who does not chat, whether streams may ask for usage."""

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
        """What is known of a model; None when nothing is."""
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
        """The models served, asked anew."""
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

        Chat or completion is decided by `is_chat`, else the model's card, else what was learnt, else chat.
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
            if is_chat is not None or not decided or not question.is_plain or not says_no_chat_template(error):
                raise
            self.memory.no_chat.add(question.model)
            return (yield from self._ask(question, deadline, False))

    def _ask(self, question: Question, deadline: Deadline, is_chat: bool) -> Call[Answered]:
        ask_usage = question.stream and not self.memory.refuses_usage
        request = self._request(question, is_chat, ask_usage)
        try:
            reply = yield from self._attempts(Send(request, question.stream, self.max_bytes), deadline, question.model)
        except StatusError as error:
            if not ask_usage or "stream_options" in question.config or not says_no_usage(error):
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
        """Have the cards at hand if the server has any; says whether they were there already."""
        if self.memory.fresh_cards() is not None:
            return True
        yield Once(("cards", deadline.timeouts), lambda: self._learn_cards(deadline))
        return False

    def _learn_cards(self, deadline: Deadline) -> Call[None]:
        try:
            yield from self.models(deadline)
        except (ProtocolError, StreamServerError):  # a server without a list of models is still a server
            self.memory.remember_cards(_models().ModelList(data=[]))
        except StatusError as error:
            if error.status in _ALSO_FOR_ANSWERS:
                raise
            self.memory.remember_cards(_models().ModelList(data=[]))

    def _now_served(self, model: str, deadline: Deadline) -> Call[bool]:
        """Whether a model unknown a moment ago is served by now: adapters come and go."""
        try:
            yield Once(("models", deadline.timeouts), lambda: self.models(deadline))
        except SDKError:
            return False
        return self.memory.cards is not None and any(card.id == model for card in self.memory.cards.data)

    def _name_served(self, error: ModelNotFoundError, model: str) -> None:
        served = [card.id for card in self.memory.cards.data] if self.memory.cards else []
        if served and not all(name in error.message for name in served):
            error.message += f" (model {model!r}; served: {shown(', '.join(served), MAX_SAID)})"

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
    """The models of answers, imported when the first one comes: pydantic's take long."""
    from sdk import types  # in this form it is found also while another thread is about to finish its import

    return types


@dataclass(frozen=True, slots=True)
class Answered:
    """A question and the reply it got."""

    question: Question
    deadline: Deadline
    request: Request
    reply: Reply
    is_chat: bool
    max_bytes: int = MAX_ANSWER_BYTES

    @property
    def request_id(self) -> str:
        """The server's id of the request where it names one, else the one that was sent."""
        return self.reply.head.headers.get("x-request-id") or sent_request_id(self.request)

    def whole_chat(self) -> ChatCompletionResponse:
        """The answer of a chat. Raises StreamServerError for an error under a good status, else ProtocolError."""
        answer: ChatCompletionResponse = self._whole(_models().ChatCompletionResponse)
        return answer

    def whole_completion(self) -> CompletionResponse:
        """The same of a completion."""
        answer: CompletionResponse = self._whole(_models().CompletionResponse)
        return answer

    def _whole(self, kind: type[T]) -> T:
        try:
            return decode(kind, self.reply.body, self.request, self.max_bytes)
        except SDKError as error:
            raise tell(error, self.question, self.deadline, self.request) from None

    def exchange(self) -> Any:
        """The exchange that brings the stream. Raises as `whole_chat` when the server answered otherwise."""
        if self.reply.exchange is None:
            raise tell(not_an_answer(self.reply.body, self.request.url), self.question, self.deadline, self.request)
        return self.reply.exchange


def tell(error: SDKError, question: Question, deadline: Deadline, request: Request | None = None) -> SDKError:
    """The error with what the call knows about it."""
    error.model = question.model
    error.elapsed_s = deadline.elapsed_s()
    if request is not None and error.request_id is None:
        error.request_id = sent_request_id(request)
    return error if request is None else without_keys(error, request)


def sent_request_id(request: Request) -> str:
    """The id that went out with a request."""
    return next((value for name, value in request.headers if name.lower() == "x-request-id"), "")


def decode(kind: type[T], body: bytes, request: Request, max_bytes: int = MAX_ANSWER_BYTES) -> T:
    """A whole answer. Raises StreamServerError for an error under status 200, else ProtocolError for other stuff."""
    check_weight(body, max_bytes)
    wrong, answer = _decode_quickly(kind, body)
    if answer is None:
        answer = _decode_odd(kind, body, request, wrong)
    choices: Any = answer.__dict__["choices"] if "choices" in kind.__pydantic_fields__ else True
    if choices and choices is not True:
        own = choices[0].__pydantic_extra__
        if own and ("message" in own or "delta" in own):
            answer = _decode_odd(kind, body, request)  # a chat's answer to a completion
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
    """A small answer whose fields are of the types they should have; what is wrong with any other, if it was looked at.

    The error of this way copies what does not fit, several times over: too much for a large answer.
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
    raise not_an_answer(body, request.url, wrong)  # here, where what was read of it is gone: it is read once more


def _what_is_wrong(error: ValidationError) -> str:
    """The first of the things that pydantic finds wrong, with its place as it is written: `choices[0].message`."""
    first = error.errors(include_url=False, include_context=False, include_input=False)[0]
    steps = [step for step in first["loc"] if isinstance(step, int) or step.isidentifier()]
    if first["loc"] and steps[-1:] and steps[-1] in ("str", "int", "float", "bool") and len(steps) > 1:
        steps.pop()  # the branch of a union
    place = "".join(f"[{step}]" if isinstance(step, int) else f".{step}" for step in steps).lstrip(".")
    said = first["msg"][:1].lower() + first["msg"][1:]
    return f"{place}: {said}" if place else said


def _text(choices: Any) -> str:
    """The text of the first of the choices beside which an error stood."""
    first = choices[0] if isinstance(choices, list) and choices else None
    message = getattr(first, "message", first)
    text = getattr(message, "content", None) or getattr(first, "text", None)
    return text if isinstance(text, str) else ""
