"""How deep the groups of a grammar lie, in EBNF as xgrammar reads it or in Lark's form."""

from __future__ import annotations

import re

_COMMENTS = re.compile(r"(?:#|//)[^\n]*")
_EBNF = re.compile(r'#[^\n]*|"(?:[^"\\\n]|\\.)*+"?|\[(?:[^\]\\\n]|\\.)*+\]?|[()]')
_LARK = re.compile(r'//[^\n]*|"(?:[^"\\\n]|\\.)*+"?|/(?:[^/\\\n]|\\.)*+/?|[()\[\]]')
_STEPS = {"(": 1, "[": 1, ")": -1, "]": -1}


def num_grammar_parts(grammar: str) -> int:
    """What `grammar_nesting` has to look at, one by one."""
    return sum(map(grammar.count, '()[]"/#'))


def grammar_nesting(grammar: str, limit: int) -> int:
    """The most groups that are open at once, or `limit` + 1 for everything above; it may be less within the limit."""
    if grammar.count("(") + grammar.count("[") <= limit:
        return 0
    tokens = _EBNF if "::=" in _COMMENTS.sub("", grammar) else _LARK
    open_now = deepest = 0
    for token in tokens.finditer(grammar):
        open_now = max(open_now + _STEPS.get(token[0], 0), 0)
        deepest = max(deepest, open_now)
        if deepest > limit:
            break
    return deepest
