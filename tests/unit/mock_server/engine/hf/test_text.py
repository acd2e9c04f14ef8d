"""Where a tokenizer works: on short texts immediately, on long ones in a thread, and never on two at a time."""

from __future__ import annotations

import asyncio
import threading
from collections.abc import Iterator
from typing import Any

import pytest

from mock_server.engine.base import ChatTurn
from mock_server.engine.errors import PromptTooLongError, RequestRefusedError
from mock_server.engine.hf.text import SHORT, HfText
from tests.unit.mock_server.engine.hf.test_token_length import Described

LONG = "x" * (SHORT + 1)


class Tokenizer:
    """Encodes a text as its length. Long texts wait until they are released."""

    def __init__(self) -> None:
        self.threads: list[threading.Thread] = []
        self.begun = threading.Event()
        self.may_end = threading.Event()
        self._busy = threading.Lock()

    def encode(self, text: str) -> list[int]:
        assert self._busy.acquire(blocking=False), "two at once"
        self.threads.append(threading.current_thread())
        if len(text) > SHORT:
            self.begun.set()
            assert self.may_end.wait(30)
        self._busy.release()
        return [len(text)]


@pytest.fixture
def tokenizer() -> Tokenizer:
    return Tokenizer()


@pytest.fixture
def text(tokenizer: Tokenizer) -> Iterator[HfText]:
    made = HfText(tokenizer)
    yield made
    tokenizer.may_end.set()
    made.close()


def test_a_short_text_is_encoded_at_once(tokenizer: Tokenizer, text: HfText) -> None:
    assert asyncio.run(text.tokenize("abc")) == [3]
    assert tokenizer.threads == [threading.current_thread()]


def test_a_long_text_leaves_the_loop_free_and_a_short_one_waits_for_it(tokenizer: Tokenizer, text: HfText) -> None:
    async def both() -> list[list[int]]:
        long = asyncio.create_task(text.tokenize(LONG))
        await asyncio.to_thread(tokenizer.begun.wait, 30)
        short = asyncio.create_task(text.tokenize("abc"))
        await asyncio.sleep(0)
        assert not short.done()
        tokenizer.may_end.set()
        return await asyncio.gather(long, short)

    assert asyncio.run(both()) == [[len(LONG)], [3]]
    assert threading.current_thread() not in tokenizer.threads


def test_a_text_whose_client_has_left_is_still_processed_in_order(tokenizer: Tokenizer, text: HfText) -> None:
    async def leave() -> list[int]:
        long = asyncio.create_task(text.tokenize(LONG))
        await asyncio.to_thread(tokenizer.begun.wait, 30)
        long.cancel()
        with pytest.raises(asyncio.CancelledError):
            await long
        short = asyncio.create_task(text.tokenize("abc"))
        await asyncio.sleep(0)
        tokenizer.may_end.set()
        return await short

    assert asyncio.run(leave()) == [3]
    assert asyncio.run(text.tokenize("abcd")) == [4]
    assert tokenizer.threads[-1] is threading.current_thread()


class Templated(Tokenizer):
    """Has tokens of bytes, at most 7 long. Its template fails as templates do on unexpected values."""

    chat_template = "a template"

    def __init__(self, error: Exception | None = None) -> None:
        super().__init__()
        self.may_end.set()
        self.error = error
        self.backend_tokenizer = Described()

    def encode(self, text: str, *, add_special_tokens: bool = True) -> list[int]:
        return super().encode(text)

    def apply_chat_template(self, conversation: list[dict[str, Any]], **how: Any) -> str:
        if self.error is not None:
            raise self.error
        self.threads.append(threading.current_thread())
        return str(conversation)


def test_a_text_that_cannot_fit_is_refused_before_it_is_tokenized() -> None:
    tokenizer = Templated()
    text = HfText(tokenizer, max_model_len=100)
    assert asyncio.run(text.tokenize("a" * 700)) == [700]
    with pytest.raises(PromptTooLongError, match="at least 101 tokens"):
        asyncio.run(text.tokenize("a" * 707))
    call = {"function": {"name": "f", "arguments": {"a": "b" * 1_000}}}
    with pytest.raises(PromptTooLongError):
        asyncio.run(text.render_chat([ChatTurn("assistant", "", {"tool_calls": [call]})]))
    assert len(tokenizer.threads) == 1


def test_a_conversation_with_a_long_call_is_rendered_in_the_thread() -> None:
    tokenizer = Templated()
    text = HfText(tokenizer)
    call = {"function": {"name": "f", "arguments": {"a": "b" * SHORT}}}
    asyncio.run(text.render_chat([ChatTurn("assistant", "", {"tool_calls": [call]})]))
    text.close()
    assert threading.current_thread() not in tokenizer.threads
    assert len(tokenizer.threads) == 2


@pytest.mark.parametrize("error", [TypeError("not iterable"), KeyError("a"), ZeroDivisionError()])
def test_a_template_that_fails_on_a_clients_values_refuses_the_request(error: Exception) -> None:
    with pytest.raises(RequestRefusedError, match="chat template refuses"):
        asyncio.run(HfText(Templated(error)).render_chat([ChatTurn("user", "a")]))
