"""Keys from options, a file and the environment. No error shows a key."""

from __future__ import annotations

from pathlib import Path

import pytest

from mock_server.commands.api_keys import VARIABLE, read_keys
from mock_server.commands.wrong_use import DeployError


def file_of(folder: Path, data: bytes) -> str:
    file = folder / "keys"
    file.write_bytes(data)
    return str(file)


@pytest.mark.parametrize(
    ("data", "keys"),
    [
        (b"one", ("one",)),
        (b"one\n", ("one",)),
        (b"one\ntwo\n", ("one", "two")),
        (b"  one\t\r\n\r\ntwo", ("one", "two")),
        (b"\xef\xbb\xbfone\n", ("one",)),
        (b"one\none\n", ("one",)),
        ("schlüssel\n".encode(), ("schlüssel",)),
        (b"#one\n", ("#one",)),
    ],
)
def test_a_file_has_one_key_per_line(tmp_path: Path, data: bytes, keys: tuple[str, ...]) -> None:
    assert read_keys((), file_of(tmp_path, data), {}) == keys


def test_keys_of_options_and_file_add_up_and_replace_the_variable(tmp_path: Path) -> None:
    file, environ = file_of(tmp_path, b"of-file\n"), {VARIABLE: "of-environment"}
    assert read_keys((), None, {}) == ()
    assert read_keys((), None, environ) == ("of-environment",)
    assert read_keys((), None, {VARIABLE: " of-environment\n"}) == ("of-environment",)
    assert read_keys((" typed ", "two"), None, environ) == ("typed", "two")
    assert read_keys((), file, environ) == ("of-file",)
    assert read_keys(("typed",), file, environ) == ("typed", "of-file")
    assert read_keys(("typed",), None, {VARIABLE: ""}) == ("typed",)


@pytest.mark.parametrize(
    ("given", "data", "environ", "says"),
    [
        (("",), None, {}, "--api-key must not be empty"),
        ((" ",), None, {}, "--api-key must not be empty"),
        (("s3cret key",), None, {}, "--api-key must be one word"),
        (("s3cret\x00",), None, {}, "--api-key must be one word"),
        ((), b"", {}, "contains no key"),
        ((), b"\n \r\n", {}, "contains no key"),
        ((), b"good\ns3cret key\n", {}, "line 2, must be one word"),
        ((), b"s3cret\xff", {}, "must be UTF-8 text"),
        ((), None, {VARIABLE: ""}, f"{VARIABLE} is set but empty"),
        ((), None, {VARIABLE: " \n"}, f"{VARIABLE} is set but empty"),
        ((), None, {VARIABLE: "s3cret key"}, f"{VARIABLE} must be one word"),
    ],
)
def test_an_invalid_key_is_refused_and_not_shown(
    tmp_path: Path, given: tuple[str, ...], data: bytes | None, environ: dict[str, str], says: str
) -> None:
    with pytest.raises(DeployError) as caught:
        read_keys(given, None if data is None else file_of(tmp_path, data), environ)
    message = str(caught.value)
    assert says in message
    assert "s3cret" not in message
    assert "\n" not in message


@pytest.mark.parametrize("path", ["/no/such/file", "/", "bad\0name"])
def test_a_file_that_cannot_be_read_is_reported(path: str) -> None:
    with pytest.raises(DeployError, match="cannot be read: "):
        read_keys((), path, {})
