"""Checks the TLS certificate and key before anything starts, and reports a problem in one line."""

from __future__ import annotations

import ssl

from mock_server.commands.wrong_use import DeployError
from mock_server.engine.wording import Part, Setting


def check_certificate(certfile: str | None, keyfile: str | None) -> None:
    """Raises `DeployError`."""
    if certfile is None:
        if keyfile is not None:
            raise DeployError(Setting("ssl_keyfile", keyfile), " needs its certificate: ", Setting("ssl_certfile"))
        return
    for option, path in (("ssl_certfile", certfile), ("ssl_keyfile", keyfile)):
        if path is not None:
            _check_readable(option, path)
    try:
        # otherwise OpenSSL asks for a password on the terminal, where there may be nobody
        ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER).load_cert_chain(certfile, keyfile, password=lambda: b"")
    except ssl.SSLError as error:
        raise DeployError(*_problem(error, certfile, keyfile)) from None


def _check_readable(option: str, path: str) -> None:
    try:
        with open(path, "rb"):
            pass
    except OSError as error:
        raise DeployError(Setting(option, path), f" cannot be read: {error.strerror}") from None


def _problem(error: ssl.SSLError, certfile: str, keyfile: str | None) -> tuple[Part, ...]:
    certificate = Setting("ssl_certfile", certfile)
    if error.reason == "KEY_VALUES_MISMATCH":
        return (Setting("ssl_keyfile", keyfile or certfile), " is not the key of ", certificate)
    if keyfile is None:
        return (
            certificate,
            " must contain a certificate and its key, unencrypted and in PEM form; ",
            Setting("ssl_keyfile"),
            " names a separate file with the key",
        )
    return (certificate, " and ", Setting("ssl_keyfile", keyfile), " must be in PEM form, the key unencrypted")
