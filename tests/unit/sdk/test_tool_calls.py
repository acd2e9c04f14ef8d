"""Each piece of a streamed tool call finds its call, however the server marks the pieces."""

from __future__ import annotations

import json
from collections.abc import Callable, Sequence
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from sdk.chunks import ChatCompletionStreamResponse
from sdk.deadline import Deadline, Timeouts
from sdk.stream_reader import StreamReader
from sdk.transport.base import Block
from tests.support.wire import WireServer
from tests.unit.sdk.api import DONE, Api
from tests.unit.sdk.streams import streamed_async, streamed_sync

Piece = dict[str, Any]
Call = tuple[str | None, str | None, str | None]


def piece(arguments: Any = None, *, name: Any = None, **marks: Any) -> Piece:
    """A piece with the given fields only; `index` and `id` mark its call."""
    function = {key: value for key, value in (("name", name), ("arguments", arguments)) if value is not None}
    return {**marks, "function": function}


def event(*pieces: Any, index: int = 0) -> bytes:
    choice = {"index": index, "delta": {"tool_calls": list(pieces)}, "finish_reason": None}
    return b"data: %b\n\n" % json.dumps({"choices": [choice]}).encode()


def calls_of(events: Sequence[Sequence[Any]]) -> list[Call]:
    reader = StreamReader(ChatCompletionStreamResponse, Deadline(Timeouts()))
    for pieces in events:
        reader.feed(Block(event(*pieces), 0))
    return [(call.id, call.function.name, call.function.arguments) for call in reader.first.tool_calls]


ONE = [("a", "f", '{"x":1}')]
TWO = [("a", "f", '{"c":1}'), ("b", "g", '{"c":2}')]
SAME_TWICE = [("a", "f", '{"c":1}'), ("b", "f", '{"c":2}')]
NAMELESS_IDS = [(None, "f", '{"c":1}'), (None, "g", '{"c":2}')]

CASES: dict[str, tuple[list[list[Piece]], list[Call]]] = {
    "an id first, then neither id nor index": (
        [[piece("", id="a", name="f")], [piece('{"x"')], [piece(":1}")]],
        ONE,
    ),
    "the id on every piece, no index": (
        [[piece("", id="a", name="f")], [piece('{"x"', id="a")], [piece(":1}", id="a")]],
        ONE,
    ),
    "id, index and name on every piece": (
        [[piece(text, id="a", name="f", index=0)] for text in ("", '{"x"', ":1}", "")],
        ONE,
    ),
    "the index on every piece, as OpenAI does": (
        [[piece("", id="a", name="f", index=0)], [piece('{"x"', index=0)], [piece(":1}", index=0)]],
        ONE,
    ),
    "null and empty marks on later pieces": (
        [[piece("", id="a", name="f", index=0)], [piece('{"x"', id=None, name="", index=0)], [piece(":1}", id="")]],
        ONE,
    ),
    "the index on the first piece alone, the id on later ones": (
        [[piece("", name="f", index=0)], [piece('{"x"', id="a")], [piece(":1}", id="a")]],
        ONE,
    ),
    "the id on the first piece alone, the index on later ones": (
        [[piece("", id="a", name="f")], [piece('{"x"', index=0)], [piece(":1}", index=0)]],
        ONE,
    ),
    "indexes that begin at one": (
        [[piece("", id="a", name="f")], [piece('{"x"', index=1)], [piece(":1}", index=1)]],
        ONE,
    ),
    "an index that counts pieces": (
        [
            [piece(text, id="a", name=name, index=i)]
            for i, (text, name) in enumerate([("", "f"), ('{"x"', None), (":1}", None)])
        ],
        ONE,
    ),
    "an index that is a text": ([[piece("", id="a", name="f", index="0")], [piece('{"x":1}', index="0")]], ONE),
    "an index that is a float": ([[piece("", id="a", name="f", index=0.0)], [piece('{"x":1}', index=0)]], ONE),
    "several pieces of a call in one event": (
        [[piece("", id="a", name="f", index=0), piece('{"x"', index=0), piece(":1}", index=0)]],
        ONE,
    ),
    "several pieces of a call in one event, unmarked": (
        [[piece("", id="a", name="f"), piece('{"x"'), piece(":1}")]],
        ONE,
    ),
    "a name in pieces": (
        [[piece("", id="a", name="get_", index=0)], [piece("", name="it", index=0)], [piece("{}", index=0)]],
        [("a", "get_it", "{}")],
    ),
    "the name behind the id": ([[piece(id="a")], [piece(name="f")], [piece('{"x":1}')]], ONE),
    "two ids on one index": (
        [[piece('{"c":1}', id="a", name="f", index=0)], [piece('{"c":2}', id="b", name="f", index=0)]],
        SAME_TWICE,
    ),
    "two ids on one index, in pieces": (
        [
            [piece("", id="a", name="f", index=0)],
            [piece('{"c":1}', index=0)],
            [piece("", id="b", name="f", index=0)],
            [piece('{"c"', index=0)],
            [piece(":2}", index=0)],
        ],
        SAME_TWICE,
    ),
    "two ids without indexes, in pieces": (
        [
            [piece("", id="a", name="f")],
            [piece('{"c":1}')],
            [piece("", id="b", name="g")],
            [piece('{"c"')],
            [piece(":2}")],
        ],
        TWO,
    ),
    "interleaved, by index": (
        [
            [piece("", id="a", name="f", index=0), piece("", id="b", name="g", index=1)],
            [piece('{"c"', index=1)],
            [piece('{"c"', index=0)],
            [piece(":1}", index=0), piece(":2}", index=1)],
        ],
        TWO,
    ),
    "interleaved, by id on one index": (
        [
            [piece("", id="a", name="f", index=0)],
            [piece("", id="b", name="g", index=0)],
            [piece('{"c":1}', id="a", index=0)],
            [piece('{"c":2}', id="b", index=0)],
        ],
        TWO,
    ),
    "the second call's head on the first one's index, its tail on its own": (
        [
            [piece("", id="a", name="f", index=0)],
            [piece('{"c":1}', index=0)],
            [piece("", id="b", name="g", index=0)],
            [piece('{"c"', index=1)],
            [piece(":2}", index=1)],
        ],
        TWO,
    ),
    "new arguments behind complete ones, without a name": (
        [[piece('{"c":1}', id="a", name="f", index=0)], [piece('{"c":2}', index=1)], [piece("", index=1)]],
        [("a", "f", '{"c":1}'), (None, None, '{"c":2}')],
    ),
    "the same on one index": (
        [[piece('{"c":1}', id="a", name="f", index=0)], [piece('{"c"', index=0)], [piece(":2}", index=0)]],
        [("a", "f", '{"c":1}'), (None, None, '{"c":2}')],
    ),
    "a call of no arguments, repeated": (
        [[piece("{}", id="a", name="f", index=0)], [piece("{}", id="a", name="f", index=0)]],
        [("a", "f", "{}")],
    ),
    "interleaved, by place where the ids came without indexes": (
        [
            [piece("", id="a", name="f"), piece("", id="b", name="g")],
            [piece('{"c":1}', index=0)],
            [piece('{"c":2}', index=1)],
        ],
        TWO,
    ),
    "opened out of order": (
        [[piece('{"c":1}', id="a", name="f", index=1)], [piece('{"c":2}', id="b", name="g", index=0)]],
        TWO,
    ),
    "an id of its own on every piece": (
        [
            [piece("", id="a", name="f", index=0)],
            [piece("", id="a2", index=0)],
            [piece('{"x"', id="a3", index=0)],
            [piece(":1}", id="a4", index=0)],
        ],
        ONE,
    ),
    "an id of its own on every piece, without indexes": (
        [[piece("", id="a", name="f")], [piece('{"x"', id="a2")], [piece(":1}", id="a2")]],
        ONE,
    ),
    "an id of its own and the name on every piece": (
        [[piece('{"x"', id="a", name="f", index=0)], [piece(":1}", id="a2", name="f", index=0)]],
        ONE,
    ),
    "ids of their own on every piece of interleaved calls": (
        [
            [piece("", id="a", name="f", index=0), piece("", id="b", name="g", index=1)],
            [piece('{"c"', id="a2", index=0), piece('{"c"', id="b2", index=1)],
            [piece(":1}", id="a3", index=0), piece(":2}", id="b3", index=1)],
        ],
        TWO,
    ),
    "a new id whose name comes later": (
        [
            [piece("", id="a", name="f", index=0)],
            [piece('{"c":1}', index=0)],
            [piece(id="b", index=0)],
            [piece("", id="b", name="g", index=0)],
            [piece('{"c":2}', index=0)],
        ],
        TWO,
    ),
    "whole, in one event": ([[piece('{"c":1}', id="a", name="f"), piece('{"c":2}', id="b", name="g")]], TWO),
    "whole, in one event, unmarked": ([[piece('{"c":1}', name="f"), piece('{"c":2}', name="g")]], NAMELESS_IDS),
    "whole, in one event, unmarked, of one function": (
        [[piece('{"c":1}', name="f"), piece('{"c":1}', name="f")]],
        [(None, "f", '{"c":1}')] * 2,
    ),
    "whole, one after the other, unmarked": (
        [[piece('{"c":1}', name="f")], [piece('{"c":2}', name="g")]],
        NAMELESS_IDS,
    ),
    "whole, on one index, without ids": (
        [[piece('{"c":1}', name="f", index=0)], [piece('{"c":2}', name="g", index=0)]],
        NAMELESS_IDS,
    ),
    "whole, of one function, on one index, without ids": (
        [[piece('{"c":1}', name="f", index=0)], [piece('{"c":2}', name="f", index=0)]],
        [(None, "f", '{"c":1}'), (None, "f", '{"c":2}')],
    ),
    "whole, all under one id": (
        [[piece('{"c":1}', id="x", name="f", index=0)], [piece('{"c":2}', id="x", name="g", index=1)]],
        [("x", "f", '{"c":1}'), ("x", "g", '{"c":2}')],
    ),
    "in pieces, all under one id, by index": (
        [
            [piece("", id="x", name="f", index=0)],
            [piece("", id="x", name="g", index=1)],
            [piece('{"c":1}', id="x", index=0)],
            [piece('{"c":2}', id="x", index=1)],
        ],
        [("x", "f", '{"c":1}'), ("x", "g", '{"c":2}')],
    ),
    "one function twice, in pieces, on one index without ids": (
        [
            [piece("", name="f", index=0)],
            [piece('{"c":1}', index=0)],
            [piece("", name="f", index=0)],
            [piece('{"c":2}', index=0)],
        ],
        [(None, "f", '{"c":1}'), (None, "f", '{"c":2}')],
    ),
    "the whole call once more at its end": (
        [
            [piece("", id="a", name="f", index=0)],
            [piece('{"x"', index=0)],
            [piece(":1}", index=0)],
            [piece('{"x":1}', id="a", name="f", index=0)],
        ],
        ONE,
    ),
    "the whole call once more, written otherwise": (
        [[piece('{"x":1}', id="a", name="f")], [piece('{ "x" : 1 }', id="a", name="f")]],
        ONE,
    ),
    "empty arguments that stand for those to come": (
        [[piece("{}", id="a", name="f", index=0)], [piece('{"x"', index=0)], [piece(":1}", index=0)]],
        ONE,
    ),
    "the same with all marks on every piece": (
        [[piece(text, id="a", name="f", index=0)] for text in ("{}", '{"x"', ":1}")],
        ONE,
    ),
    "an empty object that stands for those to come": ([[piece({}, id="a", name="f")], [piece('{"x":1}', id="a")]], ONE),
    "arguments that are an object": ([[piece({"x": 1}, id="a", name="f")]], ONE),
    "arguments that are an object, on every event": ([[piece({"x": 1}, id="a", name="f", index=0)]] * 2, ONE),
    "arguments that are a list": ([[piece([1, "é"], id="a", name="f")]], [("a", "f", '[1,"é"]')]),
    "arguments that are a number": ([[piece(3, id="a", name="f")]], [("a", "f", "3")]),
    "arguments of objects in objects": (
        [
            [piece("", id="a", name="f", index=0)],
            [piece('{"a":', index=0)],
            [piece('{"b":', index=0)],
            [piece("{}", index=0)],
            [piece("}}", index=0)],
        ],
        [("a", "f", '{"a":{"b":{}}}')],
    ),
    "brackets within texts": (
        [
            [piece('{"x":"}', id="a", name="f", index=0)],
            [piece("{\\", index=0)],
            [piece('"{', index=0)],
            [piece('{"}', index=0)],
        ],
        [("a", "f", '{"x":"}{\\"{{"}')],
    ),
    "a number as its id": ([[piece('{"x"', id=7, name="f")], [piece(":1}", id=7)]], [("7", "f", '{"x":1}')]),
    "a float as its id": ([[piece('{"x"', id=1.5, name="f")], [piece(":1}", id=1.5)]], [("1.5", "f", '{"x":1}')]),
    "an index of no known kind": ([[piece("", id="a", name="f", index=0.5)], [piece('{"x":1}', index=True)]], ONE),
    "arguments under another name": ([[{"id": "a", "name": "f", "parameters": {"x": 1}}]], ONE),
    "a tool of free text": (
        [
            [{"index": 0, "id": "a", "type": "custom", "custom": {"name": "sql", "input": "SELECT "}}],
            [{"index": 0, "custom": {"input": "1"}}],
        ],
        [("a", "sql", "SELECT 1")],
    ),
    "name and arguments a level higher": (
        [[{"id": "a", "type": "function", "name": "f", "arguments": {"x": 1}}]],
        ONE,
    ),
    "a piece without a function": ([[{"index": 0, "id": "a"}], [piece('{"x":1}', name="f", index=0)]], ONE),
    "a function of null": ([[{"index": 0, "id": "a", "function": None}], [piece('{"x":1}', name="f", index=0)]], ONE),
    "calls that are null": ([[None, piece('{"x":1}', id="a", name="f")]], ONE),
    "no call at all": ([[]], []),
}


@pytest.mark.parametrize("case", CASES)
def test_each_piece_finds_its_call(case: str) -> None:
    events, expected = CASES[case]
    assert calls_of(events) == expected


@pytest.mark.parametrize("streamed", [streamed_sync, streamed_async])
@pytest.mark.parametrize("case", [name for name in CASES if "id" in name][:6])
def test_pieces_over_a_connection(streamed: Callable[..., Any], case: str) -> None:
    events, expected = CASES[case]
    api = Api(m=True)
    api.chat = lambda peer, _: api.stream(peer, *(event(*pieces) for pieces in events), DONE)
    with WireServer(api.play) as server:
        stream = streamed(server.url)
    assert [(call.id, call.function.name, call.function.arguments) for call in stream.tool_calls] == expected


def test_a_single_object_instead_of_a_list_is_one_call() -> None:
    reader = StreamReader(ChatCompletionStreamResponse, Deadline(Timeouts()))
    delta = {"tool_calls": piece({"x": 1}, id="a", name="f")}
    reader.feed(Block(b"data: %b\n\n" % json.dumps({"choices": [{"delta": delta}]}).encode(), 0))
    assert [(call.id, call.function.name) for call in reader.first.tool_calls] == [("a", "f")]


def test_each_of_several_answers_has_its_own_calls() -> None:
    reader = StreamReader(ChatCompletionStreamResponse, Deadline(Timeouts()))
    for index, id_ in ((0, "a"), (1, "b"), (0, None), (1, None)):
        marks = {} if id_ is None else {"id": id_, "name": f"f{index}"}
        reader.feed(Block(event(piece('{"x"' if id_ else f":{index}}}", **marks), index=index), 0))
    assert [
        [(call.id, call.function.name, call.function.arguments) for call in answer.tool_calls]
        for answer in reader.answers
    ] == [
        [("a", "f0", '{"x":0}')],
        [("b", "f1", '{"x":1}')],
    ]


@pytest.mark.parametrize("arguments", [['{"x"', ":1}"], [{"x": 1}], ['{"x":1}', '{"x":1}']])
def test_a_function_call_of_the_older_form_is_assembled(arguments: list[Any]) -> None:
    reader = StreamReader(ChatCompletionStreamResponse, Deadline(Timeouts()))
    for number, text in enumerate(arguments):
        function = {"arguments": text} | ({} if number else {"name": "f"})
        payload = {"choices": [{"delta": {"role": "assistant", "content": None, "function_call": function}}]}
        (chunk,) = reader.feed(Block(b"data: %b\n\n" % json.dumps(payload).encode(), 0))
        assert chunk.choices[0].delta.function_call is not None
    call = reader.first.function_call
    assert call is not None
    assert (call.name, call.arguments) == ("f", '{"x":1}')
    assert reader.first.tool_calls == []


Marks = Callable[[int, int, str], dict[str, Any]]

# How servers mark the pieces of a call: by call, by number of the piece, with the id.
DIALECTS: dict[str, Marks] = {
    "index and id": lambda call, _, id_: {"index": call, "id": id_},
    "id": lambda call, _, id_: {"id": id_},
    "index, the id first": lambda call, number, id_: {"index": call} | ({} if number else {"id": id_}),
    "one index, ids": lambda call, _, id_: {"index": 0, "id": id_},
    "one index, the id first": lambda call, number, id_: {"index": 0} | ({} if number else {"id": id_}),
    "the id first, then nothing": lambda call, number, id_: {} if number else {"id": id_},
    "index, the id last": lambda call, number, id_: {"index": call} | ({"id": id_} if number == 3 else {}),
}
MAY_INTERLEAVE = {"index and id", "id", "index, the id first", "one index, ids"}
values = st.recursive(st.none() | st.integers() | st.text(max_size=5), lambda inner: st.lists(inner, max_size=3))
some_arguments = st.dictionaries(st.text(max_size=4), values, min_size=1, max_size=3).map(json.dumps)


@given(st.data(), st.sampled_from(sorted(DIALECTS)), st.lists(some_arguments, min_size=1, max_size=3))
def test_calls_are_assembled_in_every_dialect(data: st.DataObject, dialect: str, all_arguments: list[str]) -> None:
    queues: list[list[Piece]] = []
    for call, arguments in enumerate(all_arguments):
        cuts = sorted(data.draw(st.lists(st.integers(0, len(arguments)), min_size=3, max_size=3)))
        texts = ["", *(arguments[a:b] for a, b in zip([0, *cuts], [*cuts, len(arguments)], strict=True))]
        queues.append(
            [
                piece(text, name=None if number else f"f{call}", **DIALECTS[dialect](call, number, f"id{call}"))
                for number, text in enumerate(texts)
            ]
        )
    pieces: list[Piece] = [queue.pop(0) for queue in queues] if dialect in MAY_INTERLEAVE else []
    while any(queues):
        ready = [queue for queue in queues if queue]
        pieces.append((data.draw(st.sampled_from(ready)) if dialect in MAY_INTERLEAVE else ready[0]).pop(0))
    events: list[list[Piece]] = []
    while pieces:
        size = data.draw(st.integers(1, 3))
        events.append(pieces[:size])
        del pieces[:size]
    assert calls_of(events) == [(f"id{call}", f"f{call}", text) for call, text in enumerate(all_arguments)]
