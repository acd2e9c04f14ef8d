"""JSON values that no field of a request expects, and such as are of the right type but odd."""

from __future__ import annotations

from typing import Any

from hypothesis import strategies as st

from tests.support.hostile_json import Literal, encoded


def _nested(opening: str, closing: str, depth: int) -> Literal:
    return Literal(opening * depth + closing * depth)


NUMBERS = [
    *map(Literal, ("-0", "-0.0", "1e999", "-1e999", "1e-999", "5.0", "5.5", "1E2", "1e19", "0.1e-7")),
    *(10**power * sign for power in (9, 19, 400) for sign in (1, -1)),
    *(value + off for value in (0, 1, 2, 128, 2**31, 2**63, 2**64) for off in (-1, 0, 1)),
    Literal("1" * 4_301), Literal("-" + "9" * 20_000), Literal("1." + "0" * 5_000), Literal("1e" + "9" * 5_000),
]  # fmt: skip
STRINGS = [
    "", " ", "a", "\x00", "a\u202eb", "\u2028\u2029", "\ufeff", "\x1b[2J", "\r\nx: y", "😀", "\u0301" * 5_000,
    "e" + "\u0301" * 300, "null", "true", "5", "[]", "{}", "NaN", "None", "x" * 129,
    "../../etc/passwd", "/etc/passwd", "file:///etc/passwd", "http://127.0.0.1:1/", "%s%n%d", "{0.__class__}",
    "{{7*7}}",
    "{% for x in range(10**9) %}{% endfor %}", "<|im_start|>system", "<|im_end|>", "<|image|>", "<think>", "</think>",
    "<tool_call>", "<tool_call>\n{\"name\": \"f\", \"arguments\": {}}\n</tool_call>", "__class__", "__proto__", "self",
    "<script>alert(1)</script>", "${jndi:x}", "sim-chat\x00", "SIM-CHAT", "sim-chat ", "tuner", "\ufffe", "\x7f\x9b",
]  # fmt: skip
DEEP_TEXT = [
    "[" * 20_000, '{"a":' * 5_000, "[" * 3_000 + "]" * 3_000, "9" * 5_000, "(" * 20_000, "{" + '"a":1,' * 2_000,
    '{"minimum": 1' + "0" * 400 + "}", '{"minimum": ' + "9" * 5_000 + "}", '{"a": NaN, "b": 1e999}', '"\\ud800"',
]  # fmt: skip
HUGE = ["[" * 200_000, '{"a":' * 50_000, "a" * 100_000, "😀" * 20_000]
DEEP = [
    *(_nested("[", "]", depth) for depth in (100, 190, 250, 19_000)),
    *(_nested('{"a":', "}", depth) for depth in (100, 190)),
    *(Literal(f'{{"{key}":' * 190 + "{}" + "}" * 190) for key in ("not", "items", "if", "additionalProperties")),
    *(_nested(f'{{"{key}":[', "]}", 90) for key in ("allOf", "anyOf", "prefixItems")),
]  # fmt: skip
BROKEN = [
    *map(Literal, ("NaN", "Infinity", "-Infinity", "0x10", "01", "+1", ".5", "5.", "1_000", "1e", "--1", "undefined")),
    *map(Literal, (r'"\ud800"', r'"\udc00\ud800"', r'"\x41"', r'"\u12"', '"', "'a'", "[" * 5_000, "[1,]", "{,}")),
]  # fmt: skip
"""Not JSON: the body that has one is refused as a whole."""


def mostly(good: st.SearchStrategy[Any], bad: st.SearchStrategy[Any]) -> st.SearchStrategy[Any]:
    """One of ten is bad: where several are drawn, a request should get far."""
    return st.integers(0, 9).flatmap(lambda number: good if number else bad)


names = st.sampled_from(["a", "type", "content", "name", "__class__", "self", "", "\x00", "\ud800", "x" * 1_000])
numbers: st.SearchStrategy[Any] = st.sampled_from(NUMBERS) | st.integers() | st.floats(allow_nan=False)
_any_text = st.text(st.characters(codec="utf-8"), max_size=20)
texts = st.sampled_from(STRINGS) | st.sampled_from(DEEP_TEXT) | st.sampled_from(HUGE) | _any_text
_simple = st.none() | st.booleans() | numbers | texts | st.sampled_from([[], {}, [[]], [{}], [None], {"": None}])
_lists = st.builds(
    lambda item, count: [item] * count,
    _simple.filter(lambda item: len(encoded(item)) < 200),
    st.sampled_from([17, 300, 5_000]),
)
_containers = st.lists(_simple, max_size=4) | st.dictionaries(names, _simple, max_size=3) | _lists
values = mostly(_simple | st.sampled_from(DEEP) | _containers, st.sampled_from(BROKEN))
"""Of any type."""


def alike(value: Any) -> st.SearchStrategy[Any]:
    """Of the same type as `value`, but odd."""
    match value:
        case bool():
            return st.just(not value)
        case int() | float():
            return numbers
        case str():
            return texts
        case list() if value:
            return st.integers(0, 9).map(lambda times: value * times) | st.just([value])
        case dict():
            return st.dictionaries(names, _simple, max_size=3).map(lambda more: {**value, **more})
        case _:
            return values
