from __future__ import annotations

from collections.abc import Sequence

from hypothesis import given
from hypothesis import strategies as st

from mock_server.dataset.sample import Message, Sample
from mock_server.training.encoding import IGNORED, encode

END, TAIL, EOS = 2, 10, 3
text = st.text(st.characters(min_codepoint=97, max_codepoint=122), min_size=1, max_size=8)


def chatml(messages: Sequence[Message], *, add_generation_prompt: bool) -> list[int]:
    """A token per character; each turn ends with END, and a line break after it."""
    ids: list[int] = []
    for message in messages:
        ids += [*map(ord, f"<{message.role}>{message.content}"), END, TAIL]
    return [*ids, *map(ord, "<assistant>")] if add_generation_prompt else ids


def without_thoughts(messages: Sequence[Message], *, add_generation_prompt: bool) -> list[int]:
    """Shows an answer's first letter only while nothing follows, as templates do with thoughts."""
    last = len(messages) - 1
    shown = [
        message._replace(content=message.content[1:]) if message.role == "assistant" and number < last else message
        for number, message in enumerate(messages)
    ]
    return chatml(shown, add_generation_prompt=add_generation_prompt)


def marking_the_last_query(messages: Sequence[Message], *, add_generation_prompt: bool) -> list[int]:
    """Writes a question otherwise while it waits for its answer."""
    shown = [*messages]
    if shown[-1].role == "user":
        shown[-1] = shown[-1]._replace(content=f"{shown[-1].content}!")
    return chatml(shown, add_generation_prompt=add_generation_prompt)


def learned(ids: list[int], labels: list[int]) -> str:
    assert all(label in (IGNORED, token) for token, label in zip(ids, labels, strict=True))
    return "".join("|" if label == END else chr(label) for label in labels if label != IGNORED)


def conversation(*said: str) -> Sample:
    roles = ("user", "assistant")
    messages = tuple(Message(roles[number % 2], words) for number, words in enumerate(said))  # type: ignore[arg-type]
    return Sample(messages, None, "")


@given(st.lists(st.tuples(text, text), max_size=3), text, text)
def test_every_answer_is_learned_with_its_end_and_nothing_else(
    history: list[tuple[str, str]], query: str, answer: str
) -> None:
    said = [words for turn in history for words in turn]
    row = encode(conversation(*said, query), answer, chatml, {END}, END)
    assert learned(*row) == "".join(f"{reply}|" for reply in [*(reply for _, reply in history), answer])


def test_nothing_follows_the_end_of_the_last_answer() -> None:
    row = encode(conversation("q"), "a", chatml, {END}, END)
    assert row.input_ids[-1] == END
    assert row.input_ids == chatml([Message("user", "q"), Message("assistant", "a")], add_generation_prompt=False)[:-1]


def test_a_template_that_does_not_end_the_answer_gets_the_end_of_text() -> None:
    row = encode(conversation("q"), "a", chatml, {EOS}, EOS)
    assert row.input_ids[-1] == row.labels[-1] == EOS


def test_an_earlier_answer_that_the_template_shortens_is_learned_as_it_is_shown() -> None:
    row = encode(conversation("q", "xyz", "r"), "abc", without_thoughts, {END}, END)
    assert learned(*row).endswith("abc|")
    assert "x" not in learned(*row)


def test_a_question_that_the_template_rewrites_is_not_learned() -> None:
    row = encode(conversation("q", "xyz", "r"), "abc", marking_the_last_query, {END}, END)
    assert learned(*row).endswith("abc|")
    assert "q" not in learned(*row)
    assert "user" not in learned(*row)
