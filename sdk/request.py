"""The arguments of a call as a question, and the question as an HTTP request."""

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
    """`XRequestConfig`, imported on first use because pydantic's models are slow to import."""
    from sdk.config import XRequestConfig

    return XRequestConfig


@dataclass(frozen=True, slots=True)
class Endpoint:
    """An API and the credentials for it. `headers` are sent with every request.

    `key_advice` is for the error of a rejected key; it is empty if the caller gave the key.
    """

    address: Address
    api_key: str | None = field(default=None, repr=False)
    headers: tuple[tuple[str, str], ...] = field(default=(), repr=False)
    key_advice: str = ""

    def request(
        self, path: str, body: Mapping[str, Any] | None = None, extra_headers: Mapping[str, str] | None = None
    ) -> Request:
        """A GET, or a POST if there is a body. Raises ConfigError if the body cannot be written as JSON."""
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
            raise ConfigError(f"the request cannot be written as JSON: {error}") from error
        if b"NaN" in data or b"Infinity" in data:  # within a text, or a number that JSON cannot express
            _require_finite(body, "")
        return Request("POST", self.address.origin, self.address.target(path), tuple(headers), data)


# Only the transport sets the headers that frame a message (RFC 9112 §6).
_FRAMING = frozenset({"content-length", "transfer-encoding", "connection", "host", "upgrade", "te", "trailer"})


def checked_headers(field: str, headers: Mapping[str, str]) -> tuple[tuple[str, str], ...]:
    """The headers as pairs. Raises ConfigError for a header that a caller may not set."""
    try:
        headers = dict(headers)
    except (TypeError, ValueError):
        raise ConfigError(f"a {type(headers).__name__} does not map names to values", field=field) from None
    for name in headers:
        if not isinstance(name, str):
            raise ConfigError(f"{name!r} is not a valid header name", field=field)
        if name.lower() in _FRAMING:
            raise ConfigError(f"{name!r} frames the message, so only the SDK may set it", field=field)
    return tuple(headers.items())


def _overridden(headers: list[tuple[str, str]], more: tuple[tuple[str, str], ...]) -> list[tuple[str, str]]:
    taken = {name.lower() for name, _ in more}
    return [*(item for item in headers if item[0].lower() not in taken), *more]


def _require_finite(value: Any, where: str) -> None:
    """Raises ConfigError for a number that is not finite."""
    if isinstance(value, float) and not isfinite(value):
        raise ConfigError(f"{value} is not a valid JSON number", field=where or "the request")
    if isinstance(value, Mapping):
        for name, item in value.items():
            _require_finite(item, f"{where}.{name}" if where else str(name))
    elif isinstance(value, (list, tuple)):
        for index, item in enumerate(value):
            _require_finite(item, f"{where}[{index}]")


@dataclass(frozen=True, slots=True)
class Question:
    """The arguments of one call; `config` holds the body fields that were set at the time of the call."""

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
    """Fields that are sent unchanged: those of `extra_body`."""

    @property
    def stream(self) -> bool:
        return bool(self.config.get("stream"))

    @property
    def expected_choices(self) -> int:
        """How many choices the answer should have: `n`."""
        n = self.config.get("n")
        return n if isinstance(n, int) and n > 1 else 1

    @property
    def expected_tokens(self) -> int | None:
        """The most tokens that all choices together should have; None if the request sets no limit."""
        given = [self.config.get(name) for name in ("max_tokens", "max_completion_tokens")]
        tokens = max((limit for limit in given if isinstance(limit, int)), default=None)
        return None if tokens is None else tokens * self.expected_choices

    @property
    def is_plain(self) -> bool:
        """Whether it is a single text, so that a model without a chat template can complete it."""
        return isinstance(self.query, str) and not (self.history or self.system or self.images or self.tools)

    def chat_body(self, *, ask_usage: bool) -> dict[str, Any]:
        """The body of `/chat/completions`. Raises ConfigError."""
        messages = chat_messages(self.query, self.history, self.system, images=self.images, roles=self.roles)
        config = self._config(ask_usage)
        logprobs = config.get("logprobs")
        if logprobs is not None and not isinstance(logprobs, bool) and "logprobs" not in self.verbatim:
            _refuse_disagreement(config, "logprobs", "top_logprobs")
            config |= {"logprobs": True, "top_logprobs": logprobs}  # on chats, the number has a field of its own
        body = {"model": self.model, "messages": messages, **config}
        if self.tools:
            body["tools"] = list(self.tools)
            if self.tool_choice and self.tool_choice != "auto":
                body["tool_choice"] = self.tool_choice
        return body

    def completion_body(self, *, ask_usage: bool) -> dict[str, Any]:
        """The body of `/completions`. Raises ConfigError for arguments that only a chat has."""
        for name in ("history", "system", "images", "tools"):
            if getattr(self, name):
                raise ConfigError(
                    f"{self.model!r} completes text and has no roles",
                    field=name,
                    remedy="put what it should read into the query",
                )
        if not isinstance(self.query, str):
            raise ConfigError(
                f"a model that completes text takes a text, not {type(self.query).__name__}", field="query"
            )
        config = self._config(ask_usage)
        self._name_as_completions_do(config)
        return {"model": self.model, "prompt": self.query, **config}

    def _name_as_completions_do(self, config: dict[str, Any]) -> None:
        """Give the fields that were set the names and forms of `/completions`."""
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
        if alternatives is not None:  # on completions, a number means both
            config.setdefault("logprobs", alternatives)

    def _config(self, ask_usage: bool) -> dict[str, Any]:
        config = dict(self.config)
        if self.stream and ask_usage:
            config.setdefault("stream_options", {"include_usage": True})
        return config


def _refuse_disagreement(config: dict[str, Any], one: str, other: str) -> None:
    if config.get(other) not in (None, config[one]):
        raise ConfigError(
            f"{config[one]}, but {other} is {config[other]}",
            field=one,
            remedy="both mean the same here, so set one of them",
        )


def snapshot(config: XRequestConfig[Any] | None) -> tuple[dict[str, Any], dict[str, str] | None]:
    """The body fields and headers of a config, copied: later changes to it do not reach the call."""
    if config is None:
        return {}, None
    if not isinstance(config, config_class()):
        raise ConfigError(f"{type(config).__name__} is not an XRequestConfig", field="request_config")
    body = copied(config.body())
    if bool(body.get("stream")) != config.stream:
        raise ConfigError(
            f"stream={body.get('stream')!r} there, stream={config.stream} in the config",
            field="extra_body",
            remedy="set it once",
        )
    return body, copied(config.extra_headers)


T = TypeVar("T")


def copied(value: T) -> T:
    """A copy of the lists and objects in `value`, so that later changes to them do not reach a call already made."""
    if isinstance(value, dict):
        return cast(T, {name: item if type(item) is str else copied(item) for name, item in value.items()})
    if isinstance(value, (list, tuple)):
        return cast(T, [copied(item) for item in value])
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
    """The arguments of a call, checked. Raises ConfigError."""
    if not model:
        raise ConfigError(f"{model!r} is not the name of a model", field="model", remedy="the model list has the names")
    if images and is_multimodal is False:
        raise ConfigError("is_multimodal=False declares that the model cannot see them", field="images")
    if tool_choice != "auto" and not tools and tool_choice not in (None, "none"):
        raise ConfigError(
            f"{tool_choice!r} chooses among tools, and there are none", field="tool_choice", remedy="give tools, too"
        )
    _require_list("images", images, "an image each")
    _require_list("tools", tools, "a tool each: {'type': 'function', 'function': {…}}")
    body, headers = snapshot(request_config)
    verbatim = request_config.extra_body if request_config is not None else None
    return Question(
        model,
        query if query is None or isinstance(query, str) else copied(plain_messages(query)),
        body,
        copied(history),
        system,
        tuple(images or ()),
        copied(tools),
        tool_choice,
        roles,
        extra_headers=headers,
        verbatim=tuple(verbatim) if verbatim else (),
    )


def _require_list(name: str, value: Any, of: str) -> None:
    if isinstance(value, (str, bytes, bytearray, Mapping, PathLike)):
        raise ConfigError(f"{value!r:.200} is not a list ({of})", field=name, remedy="put it into brackets")


_CHAT_ONLY = ("history", "system", "images", "tools", "tool_choice", "is_multimodal", "roles")


def typed_config(
    config: XRequestConfig[Any] | None,
    request_config: XRequestConfig[Any] | None,
    fields: RequestFields,
    *,
    stream: bool,
    chat: bool,
) -> XRequestConfig[Any]:
    """The config of a method whose name decides whether it streams; `fields` take precedence over `config`."""
    if "stream" in fields:
        raise ConfigError(
            "chat() and complete() give whole answers, chat_stream() and complete_stream() streams", field="stream"
        )
    if config is not None and request_config is not None:
        raise ConfigError("it is another name of request_config", field="config", remedy="give one of the two")
    chosen = request_config if config is None else config
    if chosen is not None and not isinstance(chosen, config_class()):
        raise ConfigError(f"{type(chosen).__name__} is not an XRequestConfig", field="config")
    given = {} if chosen is None else {name: getattr(chosen, name) for name in chosen.model_fields_set}
    try:
        return config_class()(**{**given, **fields, "stream": stream})
    except ConfigError:
        _refuse_names(fields, config_class().model_fields, chat)
        raise


def _refuse_names(names: Mapping[str, Any], fields: Collection[str], chat: bool) -> None:
    """Raises ConfigError for a name that is neither an argument of the call nor a field of its config."""
    refuse_media(names)
    for name in sorted(names.keys() - set(fields)):
        if name in _CHAT_ONLY and not chat:
            raise ConfigError(
                "a completion has a text and no roles", field=name, remedy="put it into the prompt, or use chat()"
            )
        from sdk.suggestions import remedy

        known = [*fields, *(_CHAT_ONLY if chat else ()), "timeout"]
        raise ConfigError(
            "neither an argument of the call nor a field of XRequestConfig", field=name, remedy=remedy(name, known)
        )


def refuse_media(options: Mapping[str, Any]) -> None:
    """Raises ConfigError for media that ms-swift's calls accept and requests here cannot carry."""
    for name in ("audios", "videos"):
        if options.get(name):
            raise ConfigError(
                "requests cannot carry them",
                field=name,
                remedy="pass the content parts that your server accepts in a message: [{'role': …}]",
            )
