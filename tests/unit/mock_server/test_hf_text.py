"""Where a tokenizer's work is done: short texts at once, long ones in a thread, and never two at a time."""

import asyncio
import threading
from collections.abc import Iterator

import pytest

from mock_server.engine.hf_text import SHORT, HfText

LONG = "x" * (SHORT + 1)


class Tokenizer:
    """Encodes a text as its length; long ones wait until they are let go."""

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


def test_a_text_that_nobody_waits_for_any_longer_still_has_its_turn(tokenizer: Tokenizer, text: HfText) -> None:
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
