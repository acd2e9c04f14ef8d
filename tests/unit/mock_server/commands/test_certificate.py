from __future__ import annotations

from pathlib import Path

import pytest

from mock_server.commands.certificate import check_certificate
from mock_server.commands.wrong_use import DeployError
from tests.support.certificates import certificate_files

# a key that asks for a password
ENCRYPTED = b"""-----BEGIN ENCRYPTED PRIVATE KEY-----
MIIBvTBXBgkqhkiG9w0BBQ0wSjApBgkqhkiG9w0BBQwwHAQIbm90IGEga2V5AgIIADAMBggqhkiG9w0CCQUAMB0GCWCGSAFlAwQBKgQQ
-----END ENCRYPTED PRIVATE KEY-----
"""


def test_no_files_and_good_files_pass(tmp_path: Path) -> None:
    check_certificate(None, None)
    certificate, key = certificate_files(tmp_path)
    check_certificate(str(certificate), str(key))
    both = tmp_path / "both.pem"
    both.write_bytes(key.read_bytes() + certificate.read_bytes())
    check_certificate(str(both), None)


def test_a_problem_with_a_certificate_names_the_option(tmp_path: Path) -> None:
    def problem(certificate: Path | None, key: Path | None) -> str:
        with pytest.raises(DeployError) as caught:
            check_certificate(certificate and str(certificate), key and str(key))
        return str(caught.value)

    certificate, key = certificate_files(tmp_path)
    (tmp_path / "another").mkdir()
    _, another = certificate_files(tmp_path / "another")
    text, encrypted = tmp_path / "text", tmp_path / "encrypted.pem"
    text.write_text("neither")
    encrypted.write_bytes(ENCRYPTED)
    assert problem(None, key) == f"--ssl-keyfile {key} needs its certificate: --ssl-certfile"
    assert problem(tmp_path / "gone", key).endswith("gone cannot be read: No such file or directory")
    assert problem(certificate, tmp_path).startswith(f"--ssl-keyfile {tmp_path} cannot be read")
    assert problem(certificate, another) == f"--ssl-keyfile {another} is not the key of --ssl-certfile {certificate}"
    assert "must contain a certificate and its key" in problem(certificate, None)
    assert "must be in PEM form" in problem(text, key)
    assert "the key unencrypted" in problem(certificate, encrypted)
