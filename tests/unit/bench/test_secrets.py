"""Keys and headers: where they come from, and that nothing shows them."""

from __future__ import annotations

import base64
from collections.abc import Callable
from pathlib import Path

import pytest

from bench.redaction import Redactor
from tests.unit.bench.options import URL, parse, refusal


def test_the_key_is_never_shown() -> None:
    for arguments in (("--api-key", "secret"), ("--api-key=secret",), ("--api_key", "secret")):
        settings = parse(*URL, *arguments, "--concurrency", "2")
        assert settings.again == "python -m bench --base-url http://h:1 --concurrency 2 --seed 7"
        assert "secret" not in repr(settings)


def test_a_key_that_cannot_be_sent_is_not_shown() -> None:
    for arguments in (("--api-key", "sec ret"), ("--header", "X-Key=sec\x07ret"), ("--header", "sec-ret")):
        assert "ret" not in refusal(*URL, *arguments)
    assert "ret" not in refusal(*URL, OPENAI_API_KEY="sec\nret")


def test_the_key_of_a_file(tmp_path: Path) -> None:
    file = tmp_path / "key"
    file.write_bytes(b"\xef\xbb\xbf secret \r\n")
    settings = parse(*URL, "--api-key-file", str(file), OPENAI_API_KEY="other")
    assert (settings.api_key, settings.key_source) == ("secret", None)
    assert f"--api-key-file {file}" in settings.again
    assert "secret" not in repr(settings)
    file.write_text("one\ntwo\n")
    assert "must be one word" in refusal(*URL, "--api-key-file", str(file))
    file.write_text(" \n")
    assert refusal(*URL, "--api-key-file", str(file)).endswith(": is empty; leave it out to send no key")
    file.write_bytes(b"\xff")
    assert "is not UTF-8 text" in refusal(*URL, "--api-key-file", str(file))


@pytest.mark.parametrize(
    "arguments",
    [
        ("--header", "X-A=1", "--header", "X-B: 2 = 3"),
        ("--header", "X-A=1", "X-B: 2 = 3"),
        ("--header=x-a=1", "--header=X-B:2 = 3", "--seed", "7"),
    ],
)
def test_headers_in_every_spelling(arguments: tuple[str, ...]) -> None:
    found = parse(*URL, *arguments).headers
    assert [(name.upper(), value) for name, value in found] == [("X-A", "1"), ("X-B", "2 = 3")]


def test_a_given_authorization_replaces_the_key_of_the_environment() -> None:
    settings = parse(*URL, "--header", "Authorization: Basic abc", OPENAI_API_KEY="k")
    assert (settings.api_key, settings.key_source) == (None, None)


@pytest.mark.parametrize(
    ("typed", "again"),
    [
        (("--header", "X-Key=topsecret"), "--header 'X-Key=<hidden>'"),
        (("--header=X-Key: topsecret",), "'--header=X-Key=<hidden>'"),
        (("--header", "X-A=topsecret", "X-B: topsecret"), "--header 'X-A=<hidden>' --header 'X-B=<hidden>'"),
        (("--server-args", "--api-key topsecret other -v"), "--server-args '--api-key '\"'\"'<hidden>'"),
        (("--server-args=--api_key=topsecret",), "--server-args="),
    ],
)
def test_secrets_are_hidden_in_the_command_to_run_again(typed: tuple[str, ...], again: str) -> None:
    settings = parse(*(URL if "--header" in typed[0] else ()), *typed)
    assert again in settings.again
    assert "topsecret" not in settings.again
    assert "topsecret" not in repr(settings.headers and settings)


def test_a_hidden_value_that_is_pasted_is_refused() -> None:
    assert "which the bench prints in place of the real one" in refusal(*URL, "--header", "X-Key=<hidden>")


@pytest.mark.parametrize(
    "quoted",
    [
        "sk-secret%2F%2B12345678",
        "sk-secret%2f%2b12345678",
        "c2stc2VjcmV0LysxMjM0NTY3OA==",
        "sk-secret%252F%252B12345678",
        r"sk-secret\/+12345678",
        "SK-SECRET/+12345678",
        "sk-secr…",
        "'sk-secret/'…",
        "sk-secret/+1234 is not one",
        "sk-sec",
    ],
)
def test_a_key_is_hidden_however_it_is_quoted(quoted: str) -> None:
    text = Redactor(["Bearer sk-secret/+12345678"])(f"the key is {quoted}")
    assert "<hidden>" in text
    assert "secr" not in text.lower()
    assert "c2st" not in text


@pytest.mark.parametrize("key", ["sk-secret/+12345678", "sk-secret?>1234567", "sk-secret1234567"])
@pytest.mark.parametrize("encode", [base64.b64encode, base64.urlsafe_b64encode])
@pytest.mark.parametrize("around", ["{}", ":{}", "u:{}", "me:{}", "{}:", "a:{}:b", '{{"key":"{}"}}'])
def test_a_key_is_hidden_inside_a_longer_encoded_text(around: str, encode: Callable[[bytes], bytes], key: str) -> None:
    quoted = encode(around.format(key).encode()).decode()
    hidden = Redactor([f"Bearer {key}"])(quoted)
    before, found, behind = hidden.partition("<hidden>")
    assert found
    assert quoted.startswith(before)
    assert quoted.endswith(behind)
    known = encode(around.encode()).decode()  # nothing but what stands around the key, and a character on each side
    assert len(before) + len(behind.rstrip("=")) <= len(known) + 2


def test_the_password_of_basic_authentication_is_also_hidden_alone() -> None:
    redact = Redactor(["Basic dXNlcjpwYXNzd29yZDE="])
    assert redact("no password1 for user") == "no <hidden> for user"


@pytest.mark.parametrize("credentials", ["not-base64!!", "////"])
def test_basic_authentication_that_cannot_be_decoded_is_hidden_as_it_was_given(credentials: str) -> None:
    assert Redactor([f"Basic {credentials}"])(f"bad: {credentials}") == "bad: <hidden>"


@pytest.mark.parametrize("url", ["http://127.0.0.1:1/v1?key=sk-abcdef123", "http://127.0.0.1:1/v1#sk-abcdef123"])
def test_the_query_and_fragment_of_an_address_are_not_shown(url: str) -> None:
    assert "sk-abcdef123" not in refusal("--base-url", url)
