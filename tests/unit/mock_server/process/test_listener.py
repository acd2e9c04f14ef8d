"""The addresses that a server announces: each is tried with a connection."""

from __future__ import annotations

import socket
from collections.abc import Iterator
from contextlib import closing, contextmanager
from urllib.parse import urlsplit

import pytest

from mock_server.process.listener import Listener, ListenError


@contextmanager
def listening(host: str) -> Iterator[Listener]:
    listener = Listener.bind(host, 0)
    with closing(listener.socket):
        listener.socket.listen()
        yield listener


def connect(listener: Listener, host: str | None = None) -> None:
    address = urlsplit(listener.url)
    assert (address.scheme, address.path) == ("http", "/v1")
    socket.create_connection((host or str(address.hostname), listener.port), timeout=10).close()


@pytest.mark.parametrize("host", ["127.0.0.1", "localhost", pytest.param("::1", id="IPv6")])
def test_the_url_of_one_address_has_that_address(host: str) -> None:
    with listening(host) as listener:
        assert listener.every_interface is None
        connect(listener)
        if host != "localhost":
            assert urlsplit(listener.url).hostname == host


@pytest.mark.parametrize(("host", "shown"), [("0.0.0.0", "0.0.0.0"), ("::", "[::]")])
def test_the_url_of_every_interface_has_an_address_that_works(host: str, shown: str) -> None:
    with listening(host) as listener:
        assert listener.every_interface == f"{shown}:{listener.port}"
        assert urlsplit(listener.url).hostname not in ("0.0.0.0", "::")
        connect(listener)
        connect(listener, "127.0.0.1")


@pytest.mark.parametrize(
    ("host", "says"),
    [
        ("no.such.host.invalid", "--host no.such.host.invalid is not an address of this machine: "),
        ("http://127.0.0.1", "--host http://127.0.0.1 is not an address of this machine: "),
        ("a..b", "--host a..b is not an address of this machine: "),
        ("192.0.2.77", "cannot listen on 192.0.2.77 port 0: "),
    ],
)
def test_an_address_that_cannot_be_used_is_an_error_with_the_reason(host: str, says: str) -> None:
    with pytest.raises(ListenError) as caught:
        Listener.bind(host, 0)
    assert str(caught.value).startswith(says)
    assert "\n" not in str(caught.value)
