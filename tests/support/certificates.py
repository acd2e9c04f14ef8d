"""A certificate authority and a certificate for 127.0.0.1, made once for the tests that need TLS."""

from __future__ import annotations

import ssl
from functools import cache
from pathlib import Path

import trustme


@cache
def _authority() -> trustme.CA:
    return trustme.CA()


def server_context(*names: str) -> ssl.SSLContext:
    """For a server that calls itself by these names."""
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    _authority().issue_cert(*(names or ("127.0.0.1", "localhost"))).configure_cert(context)
    return context


def certificate_files(folder: Path) -> tuple[Path, Path]:
    """Certificate and key of a server at 127.0.0.1, in PEM form."""
    issued = _authority().issue_cert("127.0.0.1", "localhost")
    certificate, key = folder / "certificate.pem", folder / "key.pem"
    certificate.write_bytes(b"".join(pem.bytes() for pem in issued.cert_chain_pems))
    key.write_bytes(issued.private_key_pem.bytes())
    return certificate, key


def client_context() -> ssl.SSLContext:
    """For a client that trusts the authority of the tests and nobody else."""
    context = ssl.create_default_context()
    _authority().configure_trust(context)
    return context
