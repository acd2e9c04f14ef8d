"""From a question to the HTTP request that asks it."""

from __future__ import annotations

from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass, field
from functools import cache
from math import isfinite
from os import PathLike, urandom
from typing import TYPE_CHECKING, Any, TypeVar, cast

from pydantic_core import PydanticSerializationError, to_json

from sdk.address import Address
from sdk.errors import ConfigError
from sdk.messages import History, Roles, chat_messages, plain_messages
from sdk.transport.base import USER_AGENT, Request

if TYPE_CHECKING:
    from sdk.config import RequestFields, XRequestConfig
    from sdk.types import Query, ToolChoice


@cache
def config_class() -> type[XRequestConfig[Any]]:
    """`XRequestConfig`, imported when first needed: pydantic's models take long."""
    from sdk.config import XRequestConfig

    return XRequestConfig


@dataclass(frozen=True, slots=True)
class Endpoint:
    """An API and how to be let in: `headers` go with every request.

    `key_advice` is for a request that is refused; empty where the caller gave the key.
    """

    address: Address
    api_key: str | None = field(default=None, repr=False)
    headers: tuple[tuple[str, str], ...] = field(default=(), repr=False)
    key_advice: str = ""

    def request(
        self, path: str, body: Mapping[str, Any] | None = None, extra_headers: Mapping[str, str] | None = None
    ) -> Request:
        """A GET, or a POST when there is a body. Raises ConfigError when the body does not fit into JSON."""
        headers = [
            ("Accept", "*/*"),
            ("Accept-Encoding", "identity"),
            ("User-Agent", USER_AGENT),
            ("X-Request-Id", urandom(16).hex()),
        ]
        if self.api_key is not None:
            headers.append(("Authorization", f"Bearer {self.api_key}"))
        if body is not None:
            headers.append(("Content-Type", "application/json"))
        if self.headers:
            headers = _overridden(headers, self.headers)
        if extra_headers:
            headers = _overridden(headers, checked_headers("extra_headers", extra_headers))
        if body is None:
            return Request("GET", self.address.origin, self.address.target(path), tuple(headers))
        try:
            data = to_json(body)
        except (PydanticSerializationError, ValueError) as error:
            raise ConfigError(f"the request does not fit into JSON: {error}") from error
        if b"NaN" in data or b"Infinity" in data:  # in a text, or a number that JSON does not have
            _refuse_no_numbers(body, "")
        return Request("POST", self.address.origin, self.address.target(path), tuple(headers), data)


# What frames the message is the transport's to say (RFC 9112 §6).
_FRAMING = frozenset({"content-length", "transfer-encoding", "connection", "host", "upgrade", "te", "trailer"})


def checked_headers(field: str, headers: Mapping[str, str]) -> tuple[tuple[str, str], ...]:
    """The headers as pairs. Raises ConfigError for those that a caller may not set."""
    try:
        headers = dict(headers)
    except (TypeError, ValueError):
        raise ConfigError(f"{field}: a {type(headers).__name__} does not map names to values") from None
    for name in headers:
        if not isinstance(name, str):
            raise ConfigError(f"{field}: {name!r} is not a valid header name")
        if name.lower() in _FRAMING:
            raise ConfigError(f"{field}: {name!r} frames the message and is not for the caller to set")
    return tuple(headers.items())


def _overridden(headers: list[tuple[str, str]], more: tuple[tuple[str, str], ...]) -> list[tuple[str, str]]:
    taken = {name.lower() for name, _ in more}
    return [*(item for item in headers if item[0].lower() not in taken), *more]


def _refuse_no_numbers(value: Any, where: str) -> None:
    """Raises ConfigError for numbers that are none."""
    if isinstance(value, float) and not isfinite(value):
        raise ConfigError(f"{where or 'the request'}: {value} is not a number that JSON has")
    if isinstance(value, Mapping):
        for name, item in value.items():
            _refuse_no_numbers(item, f"{where}.{name}" if where else str(name))
    elif isinstance(value, (list, tuple)):
        for index, item in enumerate(value):
            _refuse_no_numbers(item, f"{where}[{index}]")


@dataclass(frozen=True, slots=True)
class Question:
    """One call as it was made: `config` is the body fields that were set, taken when the call was made."""

    model: str
    query: Query
    config: dict[str, Any]
    history: History | None = None
    system: str | None = None
    images: Sequence[Any] = ()
    tools: Sequence[Mapping[str, Any]] | None = None
    tool_choice: ToolChoice | None = "auto"
    roles: Roles | None = None
    extra_headers: dict[str, str] | None = field(default=None, repr=False)
    verbatim: tuple[str, ...] = ()
    """Fields that go out as they are: those of `extra_body`."""

    @property
    def stream(self) -> bool:
        return bool(self.config.get("stream"))

    @property
    def expected_choices(self) -> int:
        """How many choices the answer should have."""
        n = self.config.get("n")
        return n if isinstance(n, int) and n > 1 else 1

    @property
    def expected_tokens(self) -> int | None:
        """How many tokens all choices together should have at most; None where the request does not say."""
        given = [self.config.get(name) for name in ("max_tokens", "max_completion_tokens")]
        tokens = max((limit for limit in given if isinstance(limit, int)), default=None)
        return None if tokens is None else tokens * self.expected_choices

    @property
    def is_plain(self) -> bool:
        """Whether it is one text and nothing else, so that a model without a chat template can complete it."""
        return isinstance(self.query, str) and not (self.history or self.system or self.images or self.tools)

    def chat_body(self, *, ask_usage: bool) -> dict[str, Any]:
        """The body of `/chat/completions`. Raises ConfigError."""
        messages = chat_messages(self.query, self.history, self.system, images=self.images, roles=self.roles)
        config = self._config(ask_usage)
        logprobs = config.get("logprobs")
        if logprobs is not None and not isinstance(logprobs, bool) and "logprobs" not in self.verbatim:
            _refuse_disagreement(config, "logprobs", "top_logprobs")
            config |= {"logprobs": True, "top_logprobs": logprobs}  # here the number has a field of its own
        body = {"model": self.model, "messages": messages, **config}
        if self.tools:
            body["tools"] = list(self.tools)
            if self.tool_choice and self.tool_choice != "auto":
                body["tool_choice"] = self.tool_choice
        return body

    def completion_body(self, *, ask_usage: bool) -> dict[str, Any]:
        """The body of `/completions`. Raises ConfigError for what only a chat has."""
        for name in ("history", "system", "images", "tools"):
            if getattr(self, name):
                raise ConfigError(
                    f"{name}: {self.model!r} completes text and has no roles; put what it should read into the query"
                )
        if not isinstance(self.query, str):
            raise ConfigError(f"query: a model that completes text takes a text, not {type(self.query).__name__}")
        config = self._config(ask_usage)
        self._name_as_completions_do(config)
        return {"model": self.model, "prompt": self.query, **config}

    def _name_as_completions_do(self, config: dict[str, Any]) -> None:
        """Give what was set the names and forms that `/completions` has for it."""
        own = {name: value for name, value in config.items() if name not in self.verbatim}
        if "max_completion_tokens" in own:
            _refuse_disagreement(config, "max_completion_tokens", "max_tokens")
            config["max_tokens"] = config.pop("max_completion_tokens")
        logprobs, alternatives = own.get("logprobs"), own.get("top_logprobs")
        if not isinstance(logprobs, bool | None):
            _refuse_disagreement(own, "logprobs", "top_logprobs")
            alternatives = logprobs
        elif logprobs is False:
            alternatives = None
        elif logprobs and alternatives is None:
            alternatives = 0
        for name in own.keys() & {"logprobs", "top_logprobs"}:
            del config[name]
        if alternatives is not None:  # here a number says both
            config.setdefault("logprobs", alternatives)

    def _config(self, ask_usage: bool) -> dict[str, Any]:
        config = dict(self.config)
        if self.stream and ask_usage:
            config.setdefault("stream_options", {"include_usage": True})
        return config


def _refuse_disagreement(config: dict[str, Any], one: str, other: str) -> None:
    if config.get(other) not in (None, config[one]):
        raise ConfigError(
            f"{one}: {config[one]}, but {other} is {config[other]}; both mean the same here, so set one of them"
        )


def snapshot(config: XRequestConfig[Any] | None) -> tuple[dict[str, Any], dict[str, str] | None]:
    """Body fields and headers of a config as it stands now; later changes to it do not reach the call."""
    if config is None:
        return {}, None
    if not isinstance(config, config_class()):
        raise ConfigError(f"request_config: {type(config).__name__} is not an XRequestConfig")
    body = as_it_is(config.body())
    if bool(body.get("stream")) != config.stream:
        raise ConfigError(
            f"extra_body: stream={body.get('stream')!r} there, stream={config.stream} in the config; set it once"
        )
    return body, as_it_is(config.extra_headers)


T = TypeVar("T")


def as_it_is(value: T) -> T:
    """The lists and objects of `value` copied, so that a later change to them does not reach a call already made."""
    if isinstance(value, dict):
        return cast(T, {name: item if type(item) is str else as_it_is(item) for name, item in value.items()})
    if isinstance(value, (list, tuple)):
        return cast(T, [as_it_is(item) for item in value])
    return value


def question(
    model: str,
    query: Query,
    history: History | None = None,
    system: str | None = None,
    images: Sequence[Any] | None = None,
    tools: Sequence[Mapping[str, Any]] | None = None,
    tool_choice: ToolChoice | None = "auto",
    *,
    request_config: XRequestConfig[Any] | None = None,
    is_multimodal: bool | None = None,
    roles: Roles | None = None,
) -> Question:
    """A call's arguments, checked. Raises ConfigError."""
    if not model:
        raise ConfigError(f"model: {model!r} is not the name of a model; the model list tells the names served")
    if images and is_multimodal is False:
        raise ConfigError("images: is_multimodal=False says that the model sees none")
    if tool_choice != "auto" and not tools and tool_choice not in (None, "none"):
        raise ConfigError(f"tool_choice: {tool_choice!r} chooses among tools, and there are none; give tools, too")
    _refuse_no_list("images", images, "an image each")
    _refuse_no_list("tools", tools, "a tool each: {'type': 'function', 'function': {…}}")
    body, headers = snapshot(request_config)
    verbatim = request_config.extra_body if request_config is not None else None
    return Question(
        model,
        query if query is None or isinstance(query, str) else as_it_is(plain_messages(query)),
        body,
        as_it_is(history),
        system,
        tuple(images or ()),
        as_it_is(tools),
        tool_choice,
        roles,
        extra_headers=headers,
        verbatim=tuple(verbatim) if verbatim else (),
    )


def _refuse_no_list(name: str, value: Any, of: str) -> None:
    if isinstance(value, (str, bytes, bytearray, Mapping, PathLike)):
        raise ConfigError(f"{name}: {value!r:.200} is not a list ({of}); put it into brackets")


_OF_CHATS = ("history", "system", "images", "tools", "tool_choice", "is_multimodal", "roles")


def typed_config(
    config: XRequestConfig[Any] | None,
    request_config: XRequestConfig[Any] | None,
    fields: RequestFields,
    *,
    stream: bool,
    chat: bool,
) -> XRequestConfig[Any]:
    """The config of a call that says by its name whether it streams; `fields` win over `config`."""
    if "stream" in fields:
        raise ConfigError(
            "stream: chat() and complete() give whole answers, chat_stream() and complete_stream() streams"
        )
    if config is not None and request_config is not None:
        raise ConfigError("config: it is another name of request_config; give one of the two")
    chosen = request_config if config is None else config
    if chosen is not None and not isinstance(chosen, config_class()):
        raise ConfigError(f"config: {type(chosen).__name__} is not an XRequestConfig")
    given = {} if chosen is None else {name: getattr(chosen, name) for name in chosen.model_fields_set}
    try:
        return config_class()(**{**given, **fields, "stream": stream})
    except ConfigError:
        _refuse_names(fields, config_class().model_fields, chat)
        raise


def _refuse_names(names: Mapping[str, Any], fields: Collection[str], chat: bool) -> None:
    """Raises ConfigError for names that are neither arguments of a call nor fields of its config."""
    refuse_media(names)
    for name in sorted(names.keys() - set(fields)):
        if name in _OF_CHATS and not chat:
            raise ConfigError(f"{name}: a completion has a text and no roles; put it into the prompt, or use chat()")
        from sdk.suggestions import remedy

        known = [*fields, *(_OF_CHATS if chat else ()), "timeout"]
        raise ConfigError(
            f"{name}: neither an argument of the call nor a field of XRequestConfig; {remedy(name, known)}"
        )


def refuse_media(options: Mapping[str, Any]) -> None:
    """Raises ConfigError for what ms-swift's calls take and no request here carries."""
    for name in ("audios", "videos"):
        if options.get(name):
            raise ConfigError(
                f"{name}: not carried; pass the content parts that your server takes in a message: [{{'role': …}}]"
            )
