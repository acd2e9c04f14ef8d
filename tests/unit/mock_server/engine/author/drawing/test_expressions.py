"""Texts for regular expressions, checked by Python's own; and matching, which bad expressions do not slow down."""

from __future__ import annotations

import random
import re
import warnings
from typing import Any

import pytest
from hypothesis import HealthCheck, assume, given, settings
from hypothesis import strategies as st

from mock_server.engine.author.drawing.budget import Budget
from mock_server.engine.author.drawing.expressions import Expressions
from mock_server.engine.author.drawing.problems import TooMuchWorkError, UndrawableError
from mock_server.engine.author.drawing.regex_matching import is_found, is_whole
from mock_server.engine.author.drawing.regex_syntax import parse

ATOMS = ("a", "b", "c", ".", r"\d", r"\w", r"\s", "[a-c]", "[^a]", "[0-9A-F]", r"\.", r"[^\d]", r"\S", "x", "-",
         r"[\w-]", r"\x41", r"A", " ", r"[\W1]", r"[^\Da]", r"(?-i:a)")  # fmt: skip
BORDERS = (r"\b", r"\B", "^", "$", r"\A", r"\Z", "(?<=a)", r"(?<!\d)")
QUANTIFIERS = ("", "", "", "*", "+", "?", "{2}", "{1,3}", "{2,}", "*?", "+?", "{0}", "{,2}")


def _grown(inner: st.SearchStrategy[str], *, looks: bool) -> st.SearchStrategy[str]:
    quantified = st.builds("({}){}".format, inner, st.sampled_from(QUANTIFIERS))
    forms = [
        st.lists(inner, min_size=1, max_size=4).map("".join),
        st.lists(inner, min_size=2, max_size=3).map(lambda branches: f"(?:{'|'.join(branches)})"),
        quantified,
        inner.map("(?i:{})".format),
    ]
    if looks:
        forms += [inner.map("(?={})".format), inner.map("(?!{})".format)]
    return st.one_of(forms)


_plain_atoms = st.builds("{}{}".format, st.sampled_from(ATOMS), st.sampled_from(QUANTIFIERS))
plain_patterns = st.recursive(_plain_atoms, lambda inner: _grown(inner, looks=False), max_leaves=8)
patterns = st.recursive(_plain_atoms | st.sampled_from(BORDERS), lambda inner: _grown(inner, looks=True), max_leaves=8)


def compiled(pattern: str) -> re.Pattern[str]:
    """ASCII, as in ECMA-262."""
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        try:
            return re.compile(pattern, re.ASCII)
        except re.error:
            assume(False)
            raise


def draw(pattern: Any, seed: int = 0, **wanted: Any) -> str:
    return Expressions(Budget()).draw(pattern, random.Random(seed), **wanted)


@given(patterns, st.text("abcA1 -x", min_size=1, max_size=8))
def test_a_text_is_matched_as_python_matches_it(pattern: str, text: str) -> None:
    expected = compiled(pattern)
    node = parse(pattern, Budget())
    assert is_found(node, text, Budget()) == (expected.search(text) is not None)
    assert is_whole(node, text, Budget()) == (expected.fullmatch(text) is not None)


@given(patterns, st.integers(0, 1000), st.booleans(), st.integers(0, 6), st.none() | st.integers(0, 12))
@settings(suppress_health_check=[HealthCheck.too_slow])
def test_drawn_text_matches_and_has_the_requested_length(
    pattern: str, seed: int, whole: bool, least: int, more: int | None
) -> None:
    most = None if more is None else least + more
    expected = compiled(pattern)
    try:
        text = draw(pattern, seed, whole=whole, least=least, most=most)
    except UndrawableError:
        return
    assert (expected.fullmatch if whole else expected.search)(text)
    assert least <= len(text) <= (len(text) if most is None else most)


@given(plain_patterns, st.integers(0, 1000))
def test_text_is_always_found_for_an_expression_without_borders_and_look_arounds(pattern: str, seed: int) -> None:
    assert compiled(pattern).fullmatch(draw(pattern, seed, whole=True))


@given(plain_patterns, st.integers(0, 40))
def test_a_possible_length_is_always_found(pattern: str, seed: int) -> None:
    """At least the length of a text that was drawn without a given length is possible."""
    length = len(draw(pattern, seed, whole=True))
    assert len(draw(pattern, 1, whole=True, least=length, most=length)) == length


@pytest.mark.parametrize(
    ("pattern", "texts"),
    [
        ("", {""}),
        ("^ab$", {"ab"}),
        ("(yes|no)", {"yes", "no"}),
        (r"(?P<x>ab|c)\1", {"abab", "cc"}),
        (r"(?<x>a|b)-\k<x>", {"a-a", "b-b"}),
        (r"(?P<x>a|b)-(?P=x)", {"a-a", "b-b"}),
        (r"(a)(b)(c)(d)(e)(f)(g)(h)(i)(j|k)\10", {"abcdefghijj", "abcdefghikk"}),
        (r"\Aab\z", {"ab"}),
        (r"\t|\r|\0|[\b]", {"\t", "\r", "\0", "\b"}),
        (r"(?i)a(?-i)b", {"ab", "Ab"}),
        ("[]]", {"]"}),
        ("[^]", set()),
        (r"^\u{1F600}$", {"😀"}),
        (r"^\ud83d\ude00$", {"😀"}),
        (r"^\cJ$", {"\n"}),
        (r"[\]\-\\]", {"]", "-", "\\"}),
        ("[一二]", {"一", "二"}),
        ("a{,1}", {"", "a"}),
        ("a{b}", {"a{b}"}),
        (r"(?#what it is)a", {"a"}),
        ("(?s).", set()),
    ],
)
def test_forms_of_either_dialect_are_read(pattern: str, texts: set[str]) -> None:
    drawn = {draw(pattern, seed, whole=True) for seed in range(40)}
    assert drawn == texts or (not texts and all(len(text) == 1 for text in drawn))


@pytest.mark.parametrize(
    ("pattern", "text", "is_there"),
    [
        ("(?m)^b$", "a\nb\nc", True),
        ("^b$", "a\nb\nc", False),
        ("(?m)^$", "a\n\nc", True),
        ("(?m)b^", "b\na", False),
        ("a$", "a\n", False),
    ],
)
def test_borders_are_those_of_lines_only_with_the_flag_for_it(pattern: str, text: str, is_there: bool) -> None:
    assert is_found(parse(pattern, Budget()), text, Budget()) is is_there


def test_a_back_reference_is_refused_where_a_text_must_be_measured_or_matched() -> None:
    with pytest.raises(UndrawableError, match="cannot draw text of a given length for a pattern with a back reference"):
        draw(r"^(a|bc)\1$", least=3, most=3)
    with pytest.raises(UndrawableError, match="cannot check a text against a pattern with a back reference"):
        is_found(parse(r"(a)\1", Budget()), "aa", Budget())


def test_a_pattern_with_a_back_reference_gets_a_length_that_chance_finds() -> None:
    assert {draw(r"^(a|bc)\1$", seed, least=4) for seed in range(40)} == {"bcbc"}
    assert {draw(r"^(a|bc)\1$", seed, most=2) for seed in range(40)} == {"aa"}


def test_general_categories_of_unicode_are_drawn() -> None:
    assert all(text.isupper() and len(text) == 3 for text in (draw(r"^\p{Lu}{3}$", seed) for seed in range(20)))
    assert not any(text.isalpha() for text in (draw(r"^\P{L}$", seed) for seed in range(20)))


def test_long_texts_are_drawn_to_the_character() -> None:
    for pattern in ("^[0-9a-f]+$", "^(ab|cde)+$", "^([a-z]+-)*[a-z]+$"):
        text = draw(pattern, 5, least=900, most=903)
        assert 900 <= len(text) <= 903
        assert re.search(pattern, text)


@pytest.mark.parametrize(
    ("pattern", "says"),
    [
        ("(", "a parenthesis is not closed (at position 1)"),
        (")", "a closing parenthesis has no opening one"),
        ("[z-a]", "a range ends before it begins"),
        ("[a", "it is incomplete"),
        ("a{2,1}", "the maximum number of repetitions is below the minimum"),
        ("*a", "there is nothing to repeat"),
        ("a**", "a repetition follows another"),
        ("\\", "it is incomplete"),
        (r"\y", r"'\y' is not a valid regular expression: \y has no meaning (at position 1)"),
        (r"\2(a)(b)", "ends before the reference"),
        (r"\u{110000}", "is not a code point"),
        (r"\u00g1", "'00g1' is not a code point"),
        ("[]", "matches no character"),
        ("(?P<x", "'>' is missing"),
        (3, "a pattern must be a string"),
        ("a++", "does not support possessive repetitions"),
        (r"\p{Script=Greek}", "does not support the Unicode class"),
        (r"(a)\1(?=a)", "does not support back references with look-arounds"),
        ("(?>a)", "does not support the form (?>"),
        ("(" * 60 + ")" * 60, "groups nested more than"),
        ("(?=b)a", "found no text that matches"),
        ("a^b", "found no text that matches"),
        (r"[\ud800]", "matches no character"),
    ],
)
def test_the_error_says_why_an_expression_cannot_be_used(pattern: Any, says: str) -> None:
    with pytest.raises(UndrawableError, match=re.escape(says)):
        draw(pattern, whole=True)


@pytest.mark.parametrize("pattern", ["(a+)+$", "(a|a)*$", "(a|aa)+$", r"(.*a){20}$", "(?=(a+)+$)a*", "(?!(a*)*b)a*c?$"])
def test_expressions_that_stall_a_backtracking_matcher_take_few_steps(pattern: str) -> None:
    budget = Budget(steps=20_000)
    assert not is_whole(parse(pattern, budget), "a" * 400 + "!", budget)
    assert not is_found(parse("^" + pattern + "x", budget), "a" * 400 + "!", budget)


def test_multiplying_repetitions_are_refused_before_anything_is_written() -> None:
    budget = Budget()
    with pytest.raises(TooMuchWorkError, match="more text than the simulated engine writes"):
        Expressions(budget).draw("((((a{99}){99}){99}){99}){99}", random.Random(0))
    assert budget.characters_spent == 0


PASSWORDS = [
    r"^(?=.*[A-Z])(?=.*\d)(?=.*[^\w\s]).{8,}$",
    r"^(?=.*[a-z])(?=.*[A-Z])(?=.*\d)(?=.*[@$!%*?&])[A-Za-z\d@$!%*?&]{8,}$",
    r"^(?=.*\d{3})(?=.*foo)[a-z\d]{8,12}$",
    r"(?=[^#]*#)(?!.*\s).{4}",
    r"^(?=.{6,20}$)(?!.*[_.]{2})[a-zA-Z0-9._]+$",
]


@pytest.mark.parametrize("pattern", PASSWORDS)
def test_look_aheads_are_satisfied(pattern: str) -> None:
    drawn = {draw(pattern, seed) for seed in range(20)}
    assert all(re.search(pattern, text, re.ASCII) for text in drawn)
    assert len(drawn) > 5
