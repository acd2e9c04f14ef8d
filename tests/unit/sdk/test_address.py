from __future__ import annotations

import pytest

from sdk.address import local_address, parse_address
from sdk.errors import ConfigError


@pytest.mark.parametrize(
    ("written", "base"),
    [
        ("http://h:8000", "http://h:8000/v1"),
        ("http://h:8000/", "http://h:8000/v1"),
        ("http://h:8000/v1", "http://h:8000/v1"),
        ("http://h:8000/v1/", "http://h:8000/v1"),
        ("http://h:8000/v1/chat/completions", "http://h:8000/v1"),
        ("http://h:8000/v1/completions", "http://h:8000/v1"),
        ("http://h:8000/v1/models", "http://h:8000/v1"),
        ("h:8000", "http://h:8000/v1"),
        ("http://h", "http://h/v1"),
        ("https://h/proxy/v3", "https://h/proxy/v3"),
        ("https://h:443/v1", "https://h/v1"),
        ("http://[::1]:8000", "http://[::1]:8000/v1"),
        (" http://h:8000/v1 ", "http://h:8000/v1"),
        ("http://h/my path/v1", "http://h/my%20path/v1"),
        ("http://h/m\u00fc/a%20b", "http://h/m%C3%BC/a%20b"),
        ("http://b\u00fccher.example", "http://xn--bcher-kva.example/v1"),
    ],
)
def test_every_form_of_an_address_gives_its_base(written: str, base: str) -> None:
    assert str(parse_address(written)) == base


@pytest.mark.parametrize(
    ("written", "says"),
    [
        ("ftp://h", "not an http"),
        ("http://", "not an http"),
        ("http://h:99999", "port"),
        ("http://h:x", "port"),
        ("http://user:key@h", "api_key"),
        ("http://h:0", "port"),
        ("http://h/v1?x=1", "has a query"),
        ("http://h/v1#a", "has a fragment"),
        ("", "not an http"),
        ("http://[::1", "not a valid address"),
        ("http://a..b", "not a host name"),
        (f"http://{'x' * 64}", "not a host name"),
        ("http://a\tb c", "not a host name"),
    ],
)
def test_an_invalid_address_is_refused(written: str, says: str) -> None:
    with pytest.raises(ConfigError, match=says):
        parse_address(written)


@pytest.mark.parametrize("written", [8000, b"http://h", ["http://h"]])
def test_an_address_must_be_text(written: object) -> None:
    with pytest.raises(ConfigError, match="is not an address such as"):
        parse_address(written)  # type: ignore[arg-type]
    with pytest.raises(ConfigError, match="port: None"):
        local_address("h", None)  # type: ignore[arg-type]


def test_host_and_port() -> None:
    assert str(local_address("127.0.0.1", "8000")) == "http://127.0.0.1:8000/v1"
    assert str(local_address("::1", 8000)) == "http://[::1]:8000/v1"


@pytest.mark.parametrize(
    ("host", "port"), [("h", "x"), ("h", 0), ("h", 65536), ("http://h", 8000), ("", 8000), ("a b", 8000)]
)
def test_an_invalid_host_or_port_is_refused(host: str, port: int | str) -> None:
    with pytest.raises(ConfigError):
        local_address(host, port)


def test_the_parts_of_an_error_for_programs_with_words_of_their_own() -> None:
    with pytest.raises(ConfigError) as caught:
        parse_address("http://user:secret@h")
    error = caught.value
    assert (error.field, error.instead) == ("url", "api_key")
    assert error.message == f"url: {error.problem}; {error.remedy}"
    assert "secret" not in error.message
