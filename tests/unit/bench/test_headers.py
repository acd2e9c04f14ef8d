"""Headers as people write them, and what keeps their values out of sight."""

from __future__ import annotations

import re

import pytest
from hypothesis import given
from hypothesis import strategies as st

from bench.headers import HIDDEN, hide_value, parse_headers
from bench.redaction import Redactor

NAMES = st.text(st.sampled_from("!#$%&'*+-.^_`|~09AZaz"), min_size=1).map(lambda name: f"x{name}")
VALUES = st.text(st.characters(min_codepoint=0x20, blacklist_categories=["Cs", "Cc"])).filter(
    lambda value: value.strip(" \t") not in ("", HIDDEN)
)


@given(NAMES, st.sampled_from(["=", ":", ": ", " = "]), VALUES)
def test_the_first_mark_ends_the_name(name: str, mark: str, value: str) -> None:
    ((found, sent),) = parse_headers([name + mark + value])
    assert found == name
    assert sent.encode("latin-1") == value.strip(" \t").encode()


@given(NAMES, st.sampled_from(["=", ":"]), VALUES)
def test_a_hidden_header_shows_only_its_name(name: str, mark: str, value: str) -> None:
    assert hide_value(name + mark + value) == f"{name}={HIDDEN}"


@pytest.mark.parametrize(
    ("text", "says"),
    [
        ("", "has neither = nor :"),
        ("plain", "has neither = nor :"),
        ("=v", "'' is not a valid name"),
        ("a b=v", "'a b' is not a valid name"),
        ("naïve=v", "'naïve' is not a valid name"),
        ("X-Key=", "X-Key has an empty value; is a shell variable unset?"),
        ("X-Key: \t", "X-Key has an empty value"),
        ("X-Key=a\r\nX-Other: b", "X-Key has a line break"),
        ("X-Key=a\x00", "X-Key has a line break or another control character"),
    ],
)
def test_what_is_not_a_header_is_refused(text: str, says: str) -> None:
    with pytest.raises(ValueError, match=re.escape(says)):
        parse_headers([text])


@pytest.mark.parametrize(
    "name", ["Host", "content-length", "Transfer-Encoding", "CONNECTION", "Upgrade", "TE", "Accept-Encoding"]
)
def test_headers_that_the_bench_sets_are_refused_by_name(name: str) -> None:
    with pytest.raises(ValueError, match=f"must not set {name}: "):
        parse_headers([f"{name}: 1"])


def test_a_secret_is_removed_from_a_text_whole_or_word_by_word() -> None:
    redact = Redactor(["Bearer sk-12345678", "on", "prod", "sk-12345678-longer"])
    assert redact("Bearer sk-12345678 and sk-12345678-longer; on") == f"{HIDDEN} and {HIDDEN}; on"
    assert redact("key sk-12345678.") == f"key {HIDDEN}."
    assert redact("Bearer is missing in prod, not in production") == f"Bearer is missing in {HIDDEN}, not in production"
    assert Redactor([])("as it is") == "as it is"
