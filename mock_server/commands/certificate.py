"""The files of a server that speaks TLS, tried before anything starts: what is wrong with them is one line."""

from __future__ import annotations

import ssl

from mock_server.commands.wrong_use import DeployError


def check_certificate(certfile: str | None, keyfile: str | None) -> None:
    """Raises `DeployError`."""
    if certfile is None:
        if keyfile is not None:
            raise DeployError(f"--ssl-keyfile {keyfile} needs its certificate: --ssl-certfile")
        return
    for option, path in (("--ssl-certfile", certfile), ("--ssl-keyfile", keyfile)):
        if path is not None:
            _check_readable(option, path)
    try:
        # a password would be asked for on the terminal, which nobody may be at
        ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER).load_cert_chain(certfile, keyfile, password=lambda: b"")
    except ssl.SSLError as error:
        raise DeployError(_problem(error, certfile, keyfile)) from None


def _check_readable(option: str, path: str) -> None:
    try:
        with open(path, "rb"):
            pass
    except OSError as error:
        raise DeployError(f"{option} {path} cannot be read: {error.strerror}") from None


def _problem(error: ssl.SSLError, certfile: str, keyfile: str | None) -> str:
    if error.reason == "KEY_VALUES_MISMATCH":
        return f"--ssl-keyfile {keyfile or certfile} is not the key of --ssl-certfile {certfile}"
    if keyfile is None:
        return (
            f"--ssl-certfile {certfile} must hold a certificate and its key, unencrypted and in PEM form; --ssl-keyfile"
            " names a key in a file of its own"
        )
    return f"--ssl-certfile {certfile} and --ssl-keyfile {keyfile} must be in PEM form, the key unencrypted"
