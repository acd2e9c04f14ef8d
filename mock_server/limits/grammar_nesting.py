"""How deep the groups of a grammar are nested, in xgrammar's EBNF or in Lark's form."""

from __future__ import annotations

import re

_COMMENTS = re.compile(r"(?:#|//)[^\n]*")
_EBNF = re.compile(r'#[^\n]*|"(?:[^"\\\n]|\\.)*+"?|\[(?:[^\]\\\n]|\\.)*+\]?|[()]')
_LARK = re.compile(r'//[^\n]*|"(?:[^"\\\n]|\\.)*+"?|/(?:[^/\\\n]|\\.)*+/?|[()\[\]]')
_STEPS = {"(": 1, "[": 1, ")": -1, "]": -1}


def num_grammar_parts(grammar: str) -> int:
    """The number of marks that `grammar_nesting` has to look at one by one."""
    return sum(map(grammar.count, '()[]"/#'))


def grammar_nesting(grammar: str, limit: int) -> int:
    """The largest number of nested groups, or `limit` + 1 if there are more. Within the limit it may be too low."""
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
