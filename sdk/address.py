"""The address of an API, read from a host and port, a base URL, or the full path of an endpoint."""

from __future__ import annotations

import re
from dataclasses import dataclass
from urllib.parse import quote, urlsplit

from sdk.errors import ConfigError
from sdk.shown_text import HIDDEN
from sdk.transport.base import Origin

# RFC 3986 §3.3, and the percent sign of a path that is already quoted
_IN_PATHS = "/%:@!$&'()*+,;=~"
_HOST = re.compile(r"[0-9A-Za-z._~%:\-]+")
_ENDPOINTS = ("/chat/completions", "/completions", "/models")


@dataclass(frozen=True, slots=True)
class Address:
    """The base of an API; `prefix` begins each of its paths, and is `/v1` on most servers."""

    origin: Origin
    prefix: str = "/v1"

    def target(self, path: str) -> str:
        """The request target of an endpoint such as `/chat/completions`."""
        return self.prefix + path

    def __str__(self) -> str:
        return f"{self.origin}{self.prefix}"


def parse_address(url: str) -> Address:
    """Read `http://host:8000`, the same with `/v1`, or a full endpoint path; the scheme may be left out.

    Raises ConfigError for anything that is not an http(s) address.
    """
    if not isinstance(url, str):
        raise ConfigError(f"{type(url).__name__} is not an address such as http://127.0.0.1:8000/v1", field="url")
    text = url.strip()
    quoted = _without_keys(text)
    try:
        parts = urlsplit(text if "://" in text else f"http://{text}")
    except ValueError:  # for example, a bracket without its counterpart
        raise ConfigError(f"{quoted!r} is not a valid address", field="url") from None
    try:
        port = parts.port
    except ValueError:
        port = 0
    if port == 0:
        raise ConfigError(f"the port in {quoted!r} is not a number from 1 to 65535", field="url")
    if parts.scheme not in ("http", "https") or not parts.hostname:
        raise ConfigError(f"{quoted!r} is not an http(s) address such as http://127.0.0.1:8000/v1", field="url")
    if parts.username is not None:
        raise ConfigError(
            "a user name in the address is not sent",
            field="url",
            remedy="pass the key as api_key",
            instead="api_key",
        )
    if parts.query or parts.fragment:
        extra = "query" if parts.query else "fragment"
        raise ConfigError(
            f"{quoted!r} has a {extra}",
            field="url",
            remedy="give the base address alone, such as http://127.0.0.1:8000/v1",
        )
    prefix = quote(parts.path.rstrip("/"), safe=_IN_PATHS)
    for endpoint in _ENDPOINTS:
        if prefix.endswith(endpoint):
            prefix = prefix.removesuffix(endpoint)
            break
    default_port = 443 if parts.scheme == "https" else 80
    host = _host("url", parts.hostname)
    return Address(Origin(parts.scheme, host, default_port if port is None else port), prefix or "/v1")


def _without_keys(url: str) -> str:
    """The address for a message, without the parts that may be a key: userinfo, the values of a query, a fragment."""
    url = re.sub(r"^([^/?#]*//)?.*@", rf"\1{HIDDEN}@", url, flags=re.DOTALL)
    head, mark, fragment = url.partition("#")
    base, question, query = head.partition("?")
    query = re.sub(r"(^|[&;])([^=&;]*=)?[^&;]*", rf"\1\2{HIDDEN}", query) if query else ""
    return f"{base}{question}{query}{mark}{HIDDEN if fragment else ''}"


def local_address(host: str, port: int | str) -> Address:
    """The API at a host and port. Raises ConfigError if either is not valid."""
    try:
        number = int(port)
    except (TypeError, ValueError):
        raise ConfigError(f"{port!r} is not a number", field="port") from None
    if not 0 < number < 65536:
        raise ConfigError(f"{number} is not between 1 and 65535", field="port")
    if "/" in host or not host:
        raise ConfigError(
            f"{host!r} is not a host name", field="host", remedy="a whole address goes into url=", instead="url"
        )
    return Address(Origin("http", _host("host", host.strip("[]")), number))


def _host(name: str, host: str) -> str:
    """The host as requests carry it: names in other alphabets take their ASCII form (RFC 3490)."""
    try:
        ascii_host = host if ":" in host else host.encode("idna").decode("ascii")
    except UnicodeError as error:
        raise ConfigError(f"{host!r} is not a host name: {error}", field=name) from None
    if not _HOST.fullmatch(ascii_host):
        raise ConfigError(f"{host!r} is not a host name", field=name)
    return ascii_host
