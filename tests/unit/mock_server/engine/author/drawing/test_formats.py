"""Strings of each format that the simulated model knows, read by Python's own parsers where it has one."""

from __future__ import annotations

import base64
import ipaddress
import json
import random
import re
import uuid
from collections.abc import Callable
from datetime import date, datetime, time
from urllib.parse import urlsplit

import pytest

from mock_server.engine.author.drawing.budget import Budget
from mock_server.engine.author.drawing.instances import InstanceDrawer

_Read = Callable[[str], object]


def _like(pattern: str) -> _Read:
    """Reads only text of that form."""

    def read(text: str) -> object:
        return re.compile(pattern, re.ASCII).fullmatch(text)

    return read


def _network(text: str) -> object:
    return ipaddress.ip_network(text, strict=False)


def _web_address(text: str) -> object:
    parts = urlsplit(text)
    return parts.scheme == "https" and parts.hostname and parts.path


def _url_safe(text: str) -> object:
    return _like("[A-Za-z0-9_-]+")(text) and base64.urlsafe_b64decode(text)


_HOST = _like(r"[a-z0-9-]+(\.[a-z0-9-]+)+")
_EMAIL = _like(r"[^@\s]+@[a-z0-9-]+(\.[a-z0-9-]+)+")
READ: dict[str, _Read] = {
    "date": date.fromisoformat,
    "time": lambda text: time.fromisoformat(text).tzinfo,
    "date-time": lambda text: datetime.fromisoformat(text).tzinfo,
    "datetime": lambda text: datetime.fromisoformat(text).tzinfo,
    "duration": _like(r"P(?=.)(\d+D)?(T(\d+H)?(\d+M)?)?"),
    "email": _EMAIL,
    "idn-email": _EMAIL,
    "hostname": _HOST,
    "idn-hostname": _HOST,
    "ipv4": ipaddress.IPv4Address,
    "ipv6": ipaddress.IPv6Address,
    "cidrv4": _network,
    "cidrv6": _network,
    "uri": _web_address,
    "url": _web_address,
    "iri": _web_address,
    "uri-reference": lambda text: urlsplit(text).path,
    "iri-reference": lambda text: urlsplit(text).path,
    "uri-template": _like(r"https://[a-z.-]+/.*\{[a-z]+\}"),
    "uuid": lambda text: uuid.UUID(text).variant == uuid.RFC_4122 and uuid.UUID(text).version,
    "guid": uuid.UUID,
    "json-pointer": _like(r"(/[^~/]*)+"),
    "relative-json-pointer": _like(r"(0|[1-9]\d*)(/[^~/]*)*"),
    "regex": re.compile,
    "byte": lambda text: base64.b64decode(text, validate=True),
    "base64": lambda text: base64.b64decode(text, validate=True),
    "base64url": _url_safe,
    "json-string": json.loads,
    "ulid": _like("[0-7][0-9A-HJKMNP-TV-Z]{25}"),
    "cuid": _like("c[a-z0-9]{8,}"),
    "nanoid": _like("[A-Za-z0-9_-]{21}"),
    "e164": _like(r"\+[1-9]\d{1,14}"),
    "color": _like("#[0-9a-f]{6}"),
    "decimal": float,
    "int64": int,
}


@pytest.mark.parametrize("name", READ)
def test_a_string_of_a_format_can_be_read(name: str) -> None:
    drawer = InstanceDrawer({"type": "string", "format": name}, Budget())
    texts = [drawer.draw(random.Random(seed)) for seed in range(40)]
    assert len(set(texts)) > 1
    for text in texts:
        assert READ[name](text) not in (None, False, ""), text
