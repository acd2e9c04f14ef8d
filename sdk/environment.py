"""Which server and key the environment names, and which servers may see that key. The same rule for every program here.

An address that is given goes before `OPENAI_BASE_URL`. `OPENAI_API_KEY` belongs to the server of `OPENAI_BASE_URL` and
is sent to no other; where that is not set, it goes to this machine and to OpenAI alone.
"""

from __future__ import annotations

from collections.abc import Mapping
from ipaddress import ip_address

from sdk.address import Address, parse_address
from sdk.errors import ConfigError
from sdk.transport.base import Origin

BASE_URL_VARIABLE = "OPENAI_BASE_URL"
API_KEY_VARIABLE = "OPENAI_API_KEY"
_OPENAI = Origin("https", "api.openai.com", 443)


def named_address(environment: Mapping[str, str]) -> Address | None:
    """The address that the environment names, or None. Raises ConfigError for what is not one."""
    named = environment.get(BASE_URL_VARIABLE, "").strip()
    if not named:
        return None
    try:
        return parse_address(named)
    except ConfigError as error:
        raise ConfigError(f"{BASE_URL_VARIABLE}: {error.message.removeprefix('url: ')}") from None


def named_key(origin: Origin, environment: Mapping[str, str]) -> str | None:
    """The key that the environment has for a server, or None."""
    key = environment.get(API_KEY_VARIABLE, "").strip()
    return key if key and _may_see(origin, environment) else None


def key_advice(environment: Mapping[str, str]) -> str:
    """What to say where a server wants a key and none was given."""
    if not environment.get(API_KEY_VARIABLE, "").strip():
        return f"no API key was given; pass api_key or set {API_KEY_VARIABLE}"
    return (
        f"{API_KEY_VARIABLE} was not sent, for it belongs to the server of {BASE_URL_VARIABLE}; pass the key as api_key"
    )


def _may_see(origin: Origin, environment: Mapping[str, str]) -> bool:
    try:
        named = named_address(environment)
    except ConfigError:
        return False
    if named is not None:
        return origin == named.origin
    return origin == _OPENAI or _is_this_machine(origin.host)


def _is_this_machine(host: str) -> bool:
    if host == "localhost" or host.endswith(".localhost"):
        return True
    try:
        return ip_address(host).is_loopback
    except ValueError:
        return False
