"""Names in a Host header."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from mock_server.http.host_names import HostNames, is_loopback, name_of


@pytest.mark.parametrize(
    ("host", "name"),
    [
        ("a.Example:80", "a.example"), ("a.example.", "a.example"), ("[::1]:80", "::1"), ("::1", "::1"), ("a:", "a"),
        (" a ", "a"), ("", ""), (":80", ""), ("a:b", "a:b"), ("a@b:80", "a@b"),
    ],
)  # fmt: skip
def test_the_name_of_a_host_has_no_port_brackets_or_final_dot(host: str, name: str) -> None:
    assert name_of(host) == name


@given(st.text())
def test_any_header_value_is_either_allowed_or_refused(text: str) -> None:
    header = text.encode("utf-8", "surrogatepass")
    for allowed in ((), ("a.example",), ("*",)):
        names = HostNames(allowed)
        first = names.allow(header)
        assert names.allow(header) is first
        assert first is (allowed == ("*",) or is_loopback(name_of(header.decode("latin-1"))))


def test_the_number_of_remembered_headers_is_limited() -> None:
    names = HostNames(("*",))
    for number in range(10_000):
        assert names.allow(b"a%d" % number)
    assert len(names._known) <= 256
