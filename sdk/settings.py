"""What both clients are told when they are made, and how both turn a call's arguments into a question."""

from __future__ import annotations

import os
from collections.abc import Collection, Mapping, Sequence
from typing import TYPE_CHECKING, Any
from urllib.parse import urlsplit

from typing_extensions import TypedDict

from sdk.address import Address, local_address, parse_address
from sdk.answer_limit import answer_bytes
from sdk.deadline import Deadline, Timeouts, timeouts
from sdk.environment import API_KEY_VARIABLE, named_address, named_key
from sdk.errors import ConfigError
from sdk.flow import Caller
from sdk.messages import History, Roles, plain_messages
from sdk.request import Endpoint, Question, as_it_is, checked_headers, config_class, snapshot
from sdk.retry import RetryPolicy
from sdk.transport.base import Origin

if TYPE_CHECKING:
    from sdk.config import RequestFields, XRequestConfig
    from sdk.types import Query, ToolChoice

DEFAULT_HOST = "127.0.0.1"
DEFAULT_PORT = 8000


class _NoKey(str):
    """A key that nobody gave, told from the same word given."""

    __slots__ = ()


# ms-swift's clients send this word when no key is given; servers without keys do not look at it.
NO_KEY: str = _NoKey("EMPTY")


class ClientOptions(TypedDict, total=False):
    """Keyword arguments of both clients.

    `host` and `port` name the server where no base URL is given; `api_key` is sent as a bearer token (None sends
    none); `timeout` is the total in seconds or `Timeouts`; `headers` go with every request;
    `max_answer_bytes` limits an answer (None is 32 MiB). Where neither address nor key is given, `OPENAI_BASE_URL` and
    `OPENAI_API_KEY` are looked up; see `sdk.environment`.
    """

    host: str | None
    port: int | str | None
    api_key: str | None
    timeout: float | Timeouts | None
    retries: RetryPolicy | None
    headers: Mapping[str, str] | None
    max_answer_bytes: int | None


class Settings:
    """One API and how to talk to it. Base of both clients."""

    def __init__(
        self,
        base_url: str | None = None,
        *,
        host: str | None = None,
        port: int | str | None = None,
        api_key: str | None = NO_KEY,
        timeout: float | Timeouts | None = None,
        retries: RetryPolicy | None = None,
        headers: Mapping[str, str] | None = None,
        max_answer_bytes: int | None = None,
    ) -> None:
        self.address = _address(base_url, host, port)
        self._timeouts = timeouts(timeout)
        own_headers = checked_headers("headers", headers or {})
        key, advice = api_key, ""
        if api_key is NO_KEY:
            key = named_key(os.environ) or NO_KEY
            if not any(name.lower() == "authorization" for name, _ in own_headers):
                missing = f"no API key was given; pass api_key or set {API_KEY_VARIABLE}"
                advice = missing if key is NO_KEY else f"the key came from {API_KEY_VARIABLE}"
        endpoint = Endpoint(self.address, key, own_headers, advice)
        limit = answer_bytes(max_answer_bytes)
        self._caller = Caller(endpoint, RetryPolicy() if retries is None else retries, limit)

    def __repr__(self) -> str:
        return f"<{type(self).__name__} {self.address}>"

    def _deadline(self, timeout: float | Timeouts | None) -> Deadline:
        return Deadline(self._timeouts if timeout is None else timeouts(timeout))


def _address(base_url: str | None, host: str | None, port: int | str | None) -> Address:
    if base_url is not None:
        return parse_address(base_url)
    if host is None and port is None and (named := named_address(os.environ)) is not None:
        return named
    return local_address(DEFAULT_HOST if host is None else host, DEFAULT_PORT if port is None else port)


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
    if isinstance(value, (str, bytes, bytearray, Mapping, os.PathLike)):
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


def needs_proxy(origin: Origin) -> bool:
    """Whether the environment asks for a proxy on the way there (http_proxy, https_proxy, all_proxy, no_proxy)."""
    scheme = origin.scheme
    if not any(os.environ.get(name) for key in (scheme, "all") for name in (f"{key}_proxy", f"{key}_proxy".upper())):
        return False
    from urllib.request import getproxies, proxy_bypass  # slow to import, and rarely needed

    proxies = getproxies()
    host = urlsplit(str(origin)).netloc
    return bool(proxies.get(scheme) or proxies.get("all")) and not proxy_bypass(host)
