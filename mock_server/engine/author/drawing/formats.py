"""Strings in the formats of JSON Schema, and in some formats of OpenAPI and its libraries."""

from __future__ import annotations

import base64
import random
from collections.abc import Callable

_FIRST_NAMES = ("ann", "ben", "chen", "dana", "emil", "fatima", "grace", "hiro")
_HOSTS = ("example.org", "example.com", "example.net", "docs.example.org", "api.example.com")
_PATHS = ("", "page", "docs/start", "items/7", "a/b", "search?q=amber", "list#top")
_HEXADECIMAL = "0123456789abcdef"
_LETTERS = "abcdefghijklmnopqrstuvwxyz"
_DIGITS_OF_ULID = "0123456789ABCDEFGHJKMNPQRSTVWXYZ"

Source = random.Random


def text_of(name: str, source: Source) -> str | None:
    """None for an unknown format, which any text satisfies."""
    maker = _MAKERS.get(name)
    return None if maker is None else maker(source)


def _date(source: Source) -> str:
    return f"{source.randint(1990, 2035)}-{source.randint(1, 12):02}-{source.randint(1, 28):02}"


def _clock(source: Source) -> str:
    return f"{source.randint(0, 23):02}:{source.randint(0, 59):02}:{source.randint(0, 59):02}"


def _duration(source: Source) -> str:
    return source.choice((f"P{source.randint(1, 30)}D", f"PT{source.randint(1, 90)}M", f"P1DT{source.randint(1, 23)}H"))


def _uuid(source: Source) -> str:
    digits = "".join(source.choices(_HEXADECIMAL, k=32))
    return f"{digits[:8]}-{digits[8:12]}-4{digits[13:16]}-{source.choice('89ab')}{digits[17:20]}-{digits[20:]}"


def _email(source: Source) -> str:
    return f"{source.choice(_FIRST_NAMES)}@{source.choice(_HOSTS)}"


def _uri(source: Source) -> str:
    return f"https://{source.choice(_HOSTS)}/{source.choice(_PATHS)}"


def _ipv4(source: Source) -> str:
    return f"192.0.2.{source.randint(1, 254)}"


def _ipv6(source: Source) -> str:
    return f"2001:db8::{source.randint(1, 0xFFFF):x}"


def _base64(source: Source) -> str:
    return base64.b64encode(bytes(source.choices(_LETTERS.encode(), k=3 * source.randint(2, 6)))).decode()


def _word(source: Source) -> str:
    return "".join(source.choices(_LETTERS, k=source.randint(3, 8)))


_MAKERS: dict[str, Callable[[Source], str]] = {
    "date": _date,
    "time": lambda source: _clock(source) + "Z",
    "date-time": lambda source: f"{_date(source)}T{_clock(source)}Z",
    "datetime": lambda source: f"{_date(source)}T{_clock(source)}Z",
    "duration": _duration,
    "email": _email,
    "idn-email": _email,
    "hostname": lambda source: source.choice(_HOSTS),
    "idn-hostname": lambda source: source.choice(_HOSTS),
    "ipv4": _ipv4,
    "ipv6": _ipv6,
    "cidrv4": lambda source: f"{_ipv4(source)}/{source.randint(8, 32)}",
    "cidrv6": lambda source: f"{_ipv6(source)}/{source.randint(32, 128)}",
    "uri": _uri,
    "url": _uri,
    "iri": _uri,
    "uri-reference": lambda source: "/" + source.choice(_PATHS),
    "iri-reference": lambda source: "/" + source.choice(_PATHS),
    "uri-template": lambda source: f"https://{source.choice(_HOSTS)}/items/{{id}}",
    "uuid": _uuid,
    "guid": _uuid,
    "json-pointer": lambda source: f"/{_word(source)}/{source.randint(0, 9)}",
    "relative-json-pointer": lambda source: f"{source.randint(0, 3)}/{_word(source)}",
    "regex": lambda source: f"^{_word(source)}[0-9]{{{source.randint(1, 4)}}}$",
    "byte": _base64,
    "base64": _base64,
    "base64url": _base64,
    "binary": _base64,
    "json-string": lambda source: f'{{"{_word(source)}":{source.randint(0, 99)}}}',
    "ulid": lambda source: "01" + "".join(source.choices(_DIGITS_OF_ULID, k=24)),
    "cuid": lambda source: "c" + "".join(source.choices(_LETTERS, k=24)),
    "cuid2": lambda source: "".join(source.choices(_LETTERS, k=24)),
    "nanoid": lambda source: "".join(source.choices(_LETTERS, k=21)),
    "e164": lambda source: f"+1555{source.randint(1000000, 9999999)}",
    "phone": lambda source: f"+1555{source.randint(1000000, 9999999)}",
    "color": lambda source: "#" + "".join(source.choices(_HEXADECIMAL, k=6)),
    "decimal": lambda source: f"{source.randint(0, 999)}.{source.randint(0, 99):02}",
    "int64": lambda source: str(source.randint(0, 999_999)),
}
