"""How deep the groups of a grammar are nested."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from mock_server.limits.grammar_nesting import grammar_nesting, num_grammar_parts


@pytest.mark.parametrize(
    ("grammar", "depth"),
    [
        ('root ::= ("a" | ("b" ("c")))', 3),
        ('root ::= "((((" ("a")', 1),
        (r'root ::= "\"((((" ("a")', 1),
        ("root ::= [((\\](] (a)", 1),
        ("root ::= a # ((((\nb ::= (a)", 1),
        ("# ::= is not it\nstart: [[[a]]]", 3),
        ('start: "::=" ((a))', 2),
        ("start: a // ((((\n", 0),
        (r"start: /\/((((/ (a)", 1),
        (")))) root ::= ((", 2),
    ],
)
def test_depths(grammar: str, depth: int) -> None:
    assert grammar_nesting(grammar, 0) == min(depth, 1)  # it stops above the limit
    assert grammar_nesting(grammar + " x" * 9, 99) == 0
    assert next(limit for limit in range(9) if grammar_nesting(grammar, limit) <= limit) == depth


@given(st.text(alphabet='ab"\\[](){}#/:=| \n'), st.integers(0, 9))
def test_anything_can_be_measured(grammar: str, limit: int) -> None:
    assert 0 <= grammar_nesting(grammar, limit) <= limit + 1
    assert num_grammar_parts(grammar) <= len(grammar)


@given(st.integers(1, 200), st.integers(0, 200))
def test_a_depth_above_the_limit_is_noticed(depth: int, limit: int) -> None:
    for opened, closed in (("(", ")"), ("[", "]")):
        found = grammar_nesting("start: " + opened * depth + "a" + closed * depth, limit)
        assert (found > limit) == (depth > limit)
