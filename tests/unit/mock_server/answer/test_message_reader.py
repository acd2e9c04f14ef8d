from __future__ import annotations

import itertools
import json
from collections.abc import Callable

import pytest
from hypothesis import given
from hypothesis import strategies as st

from mock_server.answer.message_reader import (
    CallArguments,
    CallListReader,
    CallStart,
    Content,
    ContentReader,
    HermesReader,
    MessageReader,
    NamedCallReader,
    Part,
    Reasoning,
    ReasoningReader,
)


def numbered() -> Callable[[], str]:
    numbers = itertools.count()
    return lambda: f"call_{next(numbers)}"


def read(reader: MessageReader, *pieces: str) -> list[Part]:
    """Parts with neighbours of one kind joined."""
    joined: list[Part] = []
    for part in [part for piece in pieces for part in reader.push(piece)] + reader.end():
        last = joined[-1] if joined else None
        match (last, part):
            case (Content(one), Content(two)):
                joined[-1] = Content(one + two)
            case (Reasoning(one), Reasoning(two)):
                joined[-1] = Reasoning(one + two)
            case (CallArguments(call, one), CallArguments(same, two)) if call == same:
                joined[-1] = CallArguments(call, one + two)
            case _:
                joined.append(part)
    return joined


CALL = '<tool_call>\n{"name": "f", "arguments": {"a": 1}}\n</tool_call>'
CALLED = [CallStart(0, "call_0", "f"), CallArguments(0, '{"a": 1}')]
G = '<tool_call>{"name": "g", "arguments": "x"}</tool_call>'
HERMES = [
    ("", []),
    ("just text, <b>bold</b>", [Content("just text, <b>bold</b>")]),
    (CALL, CALLED),
    (f"Let me see.\n{CALL}", [Content("Let me see."), *CALLED]),
    (f"{CALL}\n{G}", [*CALLED, CallStart(1, "call_1", "g"), CallArguments(1, "x")]),
    (f"{CALL} done", [*CALLED, Content(" done")]),
    ("<tool_call>no json</tool_call>", [Content("<tool_call>no json</tool_call>")]),
    ('<tool_call>{"name": 3}</tool_call>!', [Content('<tool_call>{"name": 3}</tool_call>!')]),
    ('<tool_call>{"name": "f", "arguments": {"a": 1}}', CALLED),  # cut off after its end
    ('<tool_call>{"name": "f", "arguments": {"a": 1', [CALLED[0], CallArguments(0, '{"a": 1')]),  # cut off within
    ('<tool_call>{"arguments": {"a": 1}, "name": "f"}</tool_call>', CALLED),
    ('<tool_call>{"name": "f", "arguments": [{"a": 1}]}</tool_call>', [CALLED[0], CallArguments(0, '[{"a": 1}]')]),
    ('<tool_call>{"name": "f", "id": {}, "arguments": {"a": 1}}</tool_call>', CALLED),
    ('<tool_call>{"name": "\\u0066", "arguments": {"a": 1}, "b": {}}</tool_call>!', [*CALLED, Content("!")]),
    ('<tool_call>{"name": "f", "arguments": {"a": "}\\"{"}} </tool_call>',
     [CALLED[0], CallArguments(0, '{"a": "}\\"{"}')]),
    ('<tool_call>{"name": "f", "argu', [Content('<tool_call>{"name": "f", "argu')]),
    ('<tool_call>{"name": "f"}</tool_call>', [CallStart(0, "call_0", "f"), CallArguments(0, "{}")]),
    ("ends with <tool_", [Content("ends with <tool_")]),
]  # fmt: skip


@pytest.mark.parametrize(("text", "parts"), HERMES)
def test_calls_in_a_text(text: str, parts: list[Part]) -> None:
    assert read(HermesReader(numbered()), text) == parts
    assert read(HermesReader(numbered()), *text) == parts  # one character at a time


def test_calls_beyond_the_limit_are_left_out() -> None:
    assert read(HermesReader(numbered(), most=1), CALL + G) == CALLED


THOUGHT = [
    ("<think>\nhm\n</think>\n\nyes", False, [Reasoning("hm"), Content("yes")]),
    ("<think>one\n\n\ntwo\n\n</think>yes", False, [Reasoning("one\n\n\ntwo\n"), Content("yes")]),
    ("<think>hm\n", False, [Reasoning("hm")]),
    ("<think>hm</think>", False, [Reasoning("hm")]),
    ("<think></think>yes", False, [Content("yes")]),
    ("  <think>hm</think>yes", False, [Reasoning("hm"), Content("yes")]),
    ("<think>hm", False, [Reasoning("hm")]),
    ("no thoughts <think>", False, [Content("no thoughts <think>")]),
    ("<thi", False, [Content("<thi")]),
    ("", False, []),
    ("hm</think>yes", True, [Reasoning("hm"), Content("yes")]),
    ("hm</thi", True, [Reasoning("hm</thi")]),
]


@pytest.mark.parametrize(("text", "is_open", "parts"), THOUGHT)
def test_thoughts_before_a_text(text: str, is_open: bool, parts: list[Part]) -> None:
    assert read(ReasoningReader(ContentReader(), is_open=is_open), text) == parts
    assert read(ReasoningReader(ContentReader(), is_open=is_open), *text) == parts
    hidden = [part for part in parts if not isinstance(part, Reasoning)]
    assert read(ReasoningReader(ContentReader(), is_open=is_open, shown=False), *text) == hidden


def test_calls_after_thoughts() -> None:
    reader = ReasoningReader(HermesReader(numbered()))
    assert read(reader, f"<think>{CALL}</think>\n{CALL}") == [Reasoning(CALL), *CALLED]
    assert reader.num_calls == 1


def test_the_whole_text_of_a_named_call_is_its_arguments() -> None:
    assert read(NamedCallReader("f", numbered()), '{"a"', ": 1}") == CALLED
    assert read(NamedCallReader("f", numbered()), "") == [CallStart(0, "call_0", "f")]


@pytest.mark.parametrize("separator", [", ", ",", "\n,\n"])
def test_a_list_of_calls(separator: str) -> None:
    calls = [{"name": "f", "parameters": {"a": 1}}, {"name": "g", "parameters": {"b": "}]", "c": {"d": [{}]}}}]
    text = "[" + separator.join(map(json.dumps, calls)) + "]"
    expected = [*CALLED, CallStart(1, "call_1", "g"), CallArguments(1, '{"b": "}]", "c": {"d": [{}]}}')]
    assert read(CallListReader(numbered()), text) == expected
    assert read(CallListReader(numbered()), *text) == expected
    cut = text[: text.index(', "c"')]
    assert read(CallListReader(numbered()), *cut) == [*expected[:-1], CallArguments(1, '{"b": "}]"')]
    cut = text[: text.index('"parameters": {"b"')]
    assert read(CallListReader(numbered()), *cut) == [*CALLED, Content(cut[cut.index('{"name": "g"') :])]


def test_arguments_are_reported_while_they_are_generated() -> None:
    reader = HermesReader(numbered())
    pieces = ["<tool_call>", '{"name": "f', '", "arguments": ', '{"a"', ": ", "1}", "}", "</tool_call>"]
    assert [reader.push(piece) for piece in pieces] == [
        [], [], [], [CALLED[0], CallArguments(0, '{"a"')], [CallArguments(0, ": ")], [CallArguments(0, "1}")], [], [],
    ]  # fmt: skip
    in_a_list = CallListReader(numbered())
    parts = [in_a_list.push(piece) for piece in ("[", '{"name": "f", "parameters": {', '"a": 1', "}}]")]
    assert parts == [[], [CALLED[0], CallArguments(0, "{")], [CallArguments(0, '"a": 1')], [CallArguments(0, "}")]]


fragments = st.sampled_from([
    "<think>", "</think>", "<tool_call>", "</tool_call>", CALL, G, "\n", " ", "x", "<", "{", "}", '"',
    '{"name": "f", "arguments": ', '{"a": "\\\\"}',
])  # fmt: skip


@given(st.lists(fragments), st.data())
def test_the_result_does_not_depend_on_how_the_text_is_split(parts: list[str], data: st.DataObject) -> None:
    text = "".join(parts)
    cuts = sorted(data.draw(st.lists(st.integers(0, len(text)))))
    pieces = [text[start:end] for start, end in itertools.pairwise([0, *cuts, len(text)])]
    assert read(CallListReader(numbered()), *pieces) == read(CallListReader(numbered()), text)
    for is_open in (False, True):
        whole = read(ReasoningReader(HermesReader(numbered()), is_open=is_open), text)
        assert read(ReasoningReader(HermesReader(numbered()), is_open=is_open), *pieces) == whole
