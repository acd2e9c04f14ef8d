from __future__ import annotations

import json
from typing import Any, ClassVar

from hypothesis import given
from hypothesis import strategies as st

from mock_server.answer.logprobs import ChatLogprobsWriter, CompletionLogprobsWriter, WrittenLogprobs, prompt_logprobs
from mock_server.engine.base import PositionLogprobs, TokenLogprob

TOKENS = {1: b"Hi", 2: b" there", 3: "你".encode()[:2]}
HI = PositionLogprobs(TokenLogprob(1, -0.5, 2), [TokenLogprob(2, -0.25, 1), TokenLogprob(1, -0.5, 2)])
HALF = PositionLogprobs(TokenLogprob(3, float("-inf"), 9), [TokenLogprob(2, 0.0, 1), TokenLogprob(1, -7.5, 2)])


def test_chat_lists_each_token_with_its_bytes_and_the_likeliest_ones() -> None:
    written = ChatLogprobsWriter(TOKENS.__getitem__, top=1).write([1, 3], [HI, HALF], [0, 2])
    assert written.model_dump() == {
        "content": [
            {
                "token": "Hi",
                "logprob": -0.5,
                "bytes": [72, 105],
                "top_logprobs": [{"token": " there", "logprob": -0.25, "bytes": list(b" there")}],
            },
            {
                "token": "\ufffd",
                "logprob": -9999.0,
                "bytes": [0xE4, 0xBD],
                "top_logprobs": [{"token": " there", "logprob": 0.0, "bytes": list(b" there")}],
            },
        ],
        "refusal": None,
    }


def test_completions_list_columns_with_the_token_itself_among_the_likeliest() -> None:
    written = CompletionLogprobsWriter(TOKENS.__getitem__, top=1).write([1, 3], [None, HALF], [0, 2])
    assert written.model_dump() == {
        "text_offset": [0, 2],
        "token_logprobs": [None, -9999.0],
        "tokens": ["Hi", "\ufffd"],
        "top_logprobs": [None, {" there": 0.0, "\ufffd": -9999.0}],
    }
    alone = CompletionLogprobsWriter(TOKENS.__getitem__, top=0).write([1], [HI], [0])
    assert alone.top_logprobs == [{"Hi": -0.5}]


def test_deltas_are_joined() -> None:
    chat, completion = ChatLogprobsWriter(TOKENS.__getitem__, 2), CompletionLogprobsWriter(TOKENS.__getitem__, 2)
    pieces = [(([1], [HI], [0])), (([3], [HALF], [2]))]
    whole = ([1, 3], [HI, HALF], [0, 2])
    assert chat.join([chat.write(*piece) for piece in pieces]) == chat.write(*whole)
    assert completion.join([completion.write(*piece) for piece in pieces]) == completion.write(*whole)


class TestAsJson:
    TOKENS: ClassVar[dict[int, bytes]] = {**TOKENS, 4: b'],"tokens":["a"],"refusal":null}', 5: b'"choices":[]\\'}

    @given(
        st.sampled_from([ChatLogprobsWriter, CompletionLogprobsWriter]),
        st.lists(st.lists(st.sampled_from([1, 2, 3, 4, 5]), max_size=4), min_size=1, max_size=4),
        st.integers(0, 2),
    )
    def test_pieces_add_up_to_the_whole(
        self, kind: type[ChatLogprobsWriter] | type[CompletionLogprobsWriter], pieces: list[list[int]], top: int
    ) -> None:
        writer = kind(self.TOKENS.__getitem__, top)

        def written(token_ids: list[int]) -> Any:
            likely = [TokenLogprob(token_id, -0.5, 1) for token_id in token_ids]
            return writer.write(token_ids, [PositionLogprobs(token, [token, HI.chosen]) for token in likely], token_ids)

        gathered = WrittenLogprobs()
        for piece in pieces:
            gathered.add(written(piece))
        whole = written([token_id for piece in pieces for token_id in piece])
        assert b"".join(gathered.json()) == whole.model_dump_json().encode()

    def test_many_pieces_are_written_as_several(self) -> None:
        writer = CompletionLogprobsWriter(TOKENS.__getitem__, 0)
        gathered = WrittenLogprobs()
        for _ in range(600):
            gathered.add(writer.write([1], [PositionLogprobs(HI.chosen, [])], [0]))
        pieces = list(gathered.json())
        assert max(map(len, pieces)) < len(b"".join(pieces)) / 4
        assert json.loads(b"".join(pieces))["text_offset"] == [0] * 600

    def test_nothing_is_null(self) -> None:
        assert not list(WrittenLogprobs().json())


def test_a_prompts_positions_are_keyed_by_token_id() -> None:
    first, second = prompt_logprobs([None, HI], TOKENS.__getitem__, 2)
    assert first is None
    assert second is not None
    assert {key: entry.model_dump() for key, entry in second.items()} == {
        "1": {"logprob": -0.5, "rank": 2, "decoded_token": "Hi"},
        "2": {"logprob": -0.25, "rank": 1, "decoded_token": " there"},
    }
    _, alone = prompt_logprobs([None, HI], TOKENS.__getitem__, 0)
    assert alone is not None
    assert list(alone) == ["1"]


def test_among_tokens_with_the_same_text_the_likeliest_is_shown() -> None:
    halves = {1: b"\xc3", 2: b"\xe2", 3: b" there"}
    position = PositionLogprobs(TokenLogprob(3, -2.0, 3), [TokenLogprob(1, -0.5, 1), TokenLogprob(2, -1.0, 2)])
    written = CompletionLogprobsWriter(halves.__getitem__, top=2).write([3], [position], [0])
    assert written.top_logprobs == [{"\ufffd": -0.5, " there": -2.0}]
