"""A key is hidden in every form in which a server may quote it, and nothing else is."""

from __future__ import annotations

import html
import json
import time
from base64 import b64encode, urlsafe_b64encode
from collections.abc import Callable
from urllib.parse import quote

import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from sdk.known_keys import KnownKeys, keys_of
from sdk.shown_text import HIDDEN
from sdk.transport.base import Origin, Request

KEY = "sk-Proj/1+2=x&y_Secret"
FORMS: dict[str, Callable[[str], str]] = {
    "plain": str,
    "upper": str.upper,
    "json": lambda key: json.dumps(key)[1:-1].replace("/", r"\/"),
    "json-unicode": lambda key: "".join(f"\\u{ord(c):04x}" for c in key),
    "json-unicode-upper": lambda key: "".join(f"\\u{ord(c):04X}" for c in key),
    "json-twice": lambda key: "".join(f"\\\\u{ord(c):04x}" for c in key),
    "json-in-part": lambda key: f"\\u{ord(key[0]):04x}" + key[1:],
    "url": lambda key: quote(key, safe=""),
    "url-twice": lambda key: quote(quote(key, safe=""), safe=""),
    "url-all": lambda key: "".join(f"%{ord(c):02x}" for c in key),
    "html": html.escape,
    "html-numbers": lambda key: "".join(f"&#{ord(c)};" for c in key),
    "html-numbers-json": lambda key: "".join(f"\\u0026#{ord(c)};" for c in key),
    "html-hex": lambda key: "".join(f"&#x{ord(c):x};" for c in key),
    "bearer": lambda key: f"Bearer {key}",
    "base64": lambda key: b64encode(key.encode()).decode(),
    "base64-url": lambda key: urlsafe_b64encode(key.encode()).decode(),
    "base64-of-user-and-key": lambda key: b64encode(f"me:{key}".encode()).decode(),
    "base64-of-bearer": lambda key: b64encode(f"Bearer {key}".encode()).decode(),
}


def request(*headers: tuple[str, str]) -> Request:
    return Request("GET", Origin("http", "h", 80), "/v1/models", headers)


@pytest.mark.parametrize("form", FORMS)
@pytest.mark.parametrize("around", ["{}", "no such key: {}.", '"{}"', "x{}y", "<b>{}</b>"])
def test_each_form_is_hidden(form: str, around: str) -> None:
    keys, echo = KnownKeys([KEY]), FORMS[form](KEY)
    said = keys.hide(around.format(echo))
    assert HIDDEN in said
    assert len(said.replace(HIDDEN, "")) <= len(around.format("")) + len("Bearer ") + 12  # base64 of what is around it
    assert keys.hide_bytes(around.format(echo).encode()) == said.encode()


@given(
    st.text(st.characters(min_codepoint=33, max_codepoint=126), min_size=8, max_size=50), st.sampled_from(list(FORMS))
)
@example("000000\\\\", "plain")
@example("000\\\\000/", "json")
@example("000\\u00000", "json-unicode")
def test_no_key_survives_in_any_form(key: str, form: str) -> None:
    if form == "upper" or form.startswith("base64"):
        return  # tested above
    key = f"~{key}"  # a word that stands for no key is none any more
    said = KnownKeys([key]).hide(f"wrong key {FORMS[form](key)} given")
    assert FORMS[form](key) not in said.replace(HIDDEN, "")


@given(st.text(max_size=200))
def test_text_without_a_key_is_unchanged(text: str) -> None:
    keys = KnownKeys(["sk-very-secret-key", "abc"])
    if "abc" not in text and "sk-very" not in text.lower():
        assert keys.hide(text) == text
        assert keys.hide(keys.hide("a sk-very-secret-key")) == keys.hide("a sk-very-secret-key")


@pytest.mark.parametrize("key", ["a", "ab", "EMPTY", "test", "token", "hidden", "", "sk"])
def test_short_keys_and_placeholders_are_not_hidden(key: str) -> None:
    text = "a test of the EMPTY token: ab sk hidden"
    assert keys_of(request(("Authorization", f"Bearer {key}"))).hide(text) == text


def test_a_short_key_is_hidden_only_as_a_word() -> None:
    assert KnownKeys(["hunter2"]).hide("hunter2, hunter22, \\u0068unter2") == f"{HIDDEN}, hunter22, {HIDDEN}"


@pytest.mark.parametrize("size", range(8, len(KEY)))
@pytest.mark.parametrize("end", ["…", "'", "", "… (a hint)"])
def test_a_key_that_an_excerpt_cuts_off_is_hidden(size: int, end: str) -> None:
    assert KnownKeys([KEY]).hide(f"it said {KEY[:size]}{end}") == f"it said {HIDDEN}{end}"


@pytest.mark.parametrize("end", ["…", "'", "", "… (a hint)"])
@pytest.mark.parametrize("form", [form for form in FORMS if form != "base64-of-bearer"])
def test_a_key_in_any_form_is_hidden_if_an_excerpt_cuts_it_off(form: str, end: str) -> None:
    keys, echo = KnownKeys([KEY]), FORMS[form](KEY)
    least = next(n for n in range(len(echo)) if HIDDEN in keys.hide(f"it said {echo[:n]}{end}"))
    assert least <= len(FORMS[form](KEY[:12]))
    for size in range(least, len(echo) + 1):
        said = keys.hide(f"it said {echo[:size]}{end}")
        assert HIDDEN in said
        assert len(said) <= len(f"it said {HIDDEN}{end}") + 12


def test_a_very_long_key_is_hidden_whole() -> None:
    key = "eyJhbGciOi" + "Ab1_-" * 800
    assert KnownKeys([key]).hide(f"key '{key}' is wrong") == f"key '{HIDDEN}' is wrong"


@pytest.mark.parametrize(
    ("name", "value", "secret"),
    [
        ("x-api-key", "k-123456789", "k-123456789"),
        ("Cookie", "theme=dark; session=s3ss10n-1d", "s3ss10n-1d"),
        ("Authorization", "Basic " + b64encode(b"me:pass-word-1").decode(), "pass-word-1"),
        ("Authorization", 'Digest response="0123456789abcdef"', "0123456789abcdef"),
        ("Proxy-Authorization", "Token t-123456789", "t-123456789"),
    ],
)
def test_the_secrets_within_a_header_are_found(name: str, value: str, secret: str) -> None:
    keys = keys_of(request((name, value)))
    assert secret not in keys.hide(f"you sent {secret} or {value}")


def test_headers_that_are_not_secret_stay_visible() -> None:
    keys = keys_of(request(("Content-Type", "application/json"), ("User-Agent", "my-program/1")))
    assert keys.hide("application/json my-program/1") == "application/json my-program/1"


def test_the_password_of_a_proxy_is_hidden(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("https_proxy", "http://me:pr%40xy-pass@127.0.0.1:9")
    echo = b64encode(b"me:pr@xy-pass").decode()
    said = keys_of(request()).hide(f"pr@xy-pass pr%40xy-pass Basic {echo}")
    assert said == f"{HIDDEN} {HIDDEN} Basic {HIDDEN}"


def test_no_repr_shows_a_key() -> None:
    assert KEY not in repr(KnownKeys([KEY]))


@pytest.mark.parametrize(
    "unit", ["\\", "%25", "&amp;", "&#0", "&#x0", "sk-Proj/1+2=x&y_Secre", "sk-Proj/…", "A", "%5c", "ab\\"]
)
def test_no_body_makes_the_search_slow(unit: str) -> None:
    keys = KnownKeys([KEY, "\\" * 9 + "back", "hunter2", "eyJhbGciOi" + "Ab1_-" * 800])
    text = unit * (64 * 1024 // len(unit))
    begun = time.process_time()
    keys.hide(text)
    assert time.process_time() - begun < 5  # a search without bounds takes minutes
