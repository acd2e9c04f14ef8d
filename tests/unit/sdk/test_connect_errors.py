"""The errors for connections that could not be made."""

from __future__ import annotations

import errno
import pickle
import socket
import ssl

import pytest

from sdk.errors import TLSError
from sdk.transport.base import Origin
from sdk.transport.connect_errors import connect_error

THERE = Origin("https", "h", 443)


@pytest.mark.parametrize(
    ("error", "says"),
    [
        (ConnectionRefusedError(errno.ECONNREFUSED, "Connect call failed ('h', 443)"), "(connection refused)"),
        (OSError(errno.EHOSTUNREACH, "Connect call failed ('h', 443)"), "(no route to host)"),
        (OSError("Multiple exceptions: first, second"), "(Multiple exceptions: first, second)"),
        (ssl.SSLError(1, "[SSL: WRONG_VERSION_NUMBER] wrong version number"), "wrong version number"),
    ],
)
def test_the_message_gives_the_reason(error: OSError, says: str) -> None:
    assert says in connect_error(THERE, error).message


def test_a_server_that_speaks_plain_http() -> None:
    error = ssl.SSLError(1, "wrong")
    error.reason = "WRONG_VERSION_NUMBER"
    found = connect_error(THERE, error)
    assert isinstance(found, TLSError)
    assert found.message == "no TLS connection to https://h: WRONG_VERSION_NUMBER; does it speak plain http?"


def test_the_parts_of_an_error_for_programs_with_words_of_their_own() -> None:
    error = ssl.SSLCertVerificationError(1, "wrong")
    error.reason, error.verify_message = "CERTIFICATE_VERIFY_FAILED", "self-signed certificate"
    found = connect_error(THERE, error)
    assert (found.reason, found.problem) == (
        "certificate",
        "no TLS connection to https://h: CERTIFICATE_VERIFY_FAILED, self-signed certificate",
    )
    assert found.message == f"{found.problem}; {found.remedy}"
    unresolved = connect_error(THERE, socket.gaierror(socket.EAI_NONAME, "Name or service not known"))
    assert (unresolved.reason, unresolved.remedy) == ("unresolved", "")
    full = pickle.loads(pickle.dumps(connect_error(THERE, OSError(errno.EMFILE, "Too many open files"))))
    assert full.reason == "local limit"
    assert full.remedy.startswith("raise the limit")
