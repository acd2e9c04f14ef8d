from __future__ import annotations

import json

from hypothesis import given
from hypothesis import strategies as st

from mock_server.chat_page.conversation import Conversation, Figures, Turn, load_conversation

TURNS = st.builds(
    Turn,
    question=st.text(),
    answer=st.text(),
    thoughts=st.text(),
    model=st.text(),
    ending=st.sampled_from(["", "stop", "length", "stopped", "failed"]),
    error=st.text(),
    figures=st.builds(
        Figures,
        ttft_s=st.none() | st.floats(0, 1e6),
        last_s=st.none() | st.floats(0, 1e6),
        tokens=st.integers(0, 10**6),
        is_counted=st.booleans(),
    ),
)
CONVERSATIONS = st.builds(Conversation, id=st.text(), turns=st.lists(TURNS).map(tuple), system=st.text())
JSON = st.recursive(
    st.none() | st.booleans() | st.integers() | st.text(),
    lambda inner: (
        st.lists(inner) | st.dictionaries(st.sampled_from(["id", "turns", "question", "figures", "x"]), inner)
    ),
)


def answered(question: str, answer: str, **more: object) -> Turn:
    return Turn(question, answer, ending="stop", **more)  # type: ignore[arg-type]


@given(CONVERSATIONS)
def test_a_conversation_comes_back_from_the_browser(conversation: Conversation) -> None:
    assert load_conversation(json.loads(json.dumps(conversation.dump()))) == conversation


@given(JSON)
def test_whatever_the_browser_has_stored_is_a_conversation_or_none(value: object) -> None:
    found = load_conversation(value)
    assert found is None or isinstance(found, Conversation)


def test_fields_that_do_not_fit_have_their_defaults() -> None:
    turn = {"question": "q", "answer": 3, "ending": "odd", "figures": {"tokens": "x", "ttft_s": 0.5}}
    found = load_conversation({"id": "a", "turns": [turn, "no turn"], "system": None})
    assert found == Conversation("a", (Turn("q", figures=Figures(ttft_s=0.5)),))


def test_the_model_is_sent_what_was_said() -> None:
    turns = (answered("one", "eins"), Turn("two", ending="failed", error="no"), answered("three", "drei"), Turn("four"))
    said = [(message["role"], message["content"]) for message in Conversation("a", turns, "be brief").messages()]
    assert said == [
        ("system", "be brief"),
        *(("user", "one"), ("assistant", "eins"), ("user", "three"), ("assistant", "drei"), ("user", "four")),
    ]


def test_a_blank_system_prompt_is_not_sent() -> None:
    assert Conversation("a", (Turn("q"),), " \n").messages() == [{"role": "user", "content": "q"}]


def test_a_question_asked_again_drops_its_answer_and_what_followed() -> None:
    conversation = Conversation("a", (answered("one", "eins"), answered("two", "zwei"), answered("three", "drei")))
    assert conversation.asked_again(1).turns == (answered("one", "eins"), Turn("two"))
    assert conversation.asked_again(0, "another").turns == (Turn("another"),)


def test_the_title_is_the_first_line_of_the_first_question() -> None:
    assert Conversation("a").title == ""
    assert Conversation("a", (Turn("\n  What is\t this?\nmore"),)).title == "What is this?"
    long = Conversation("a", (Turn("four " * 30),)).title
    assert len(long) == 48
    assert long.endswith("four fo…")


def test_tokens_per_second_are_those_after_the_first_token() -> None:
    assert Figures(ttft_s=0.5, last_s=2.5, tokens=21).tokens_per_s == 10
    assert Figures(ttft_s=0.5, last_s=0.5, tokens=1).tokens_per_s is None
    assert Figures(ttft_s=0.5, last_s=0.5, tokens=9).tokens_per_s is None  # all in one event
    assert Figures().tokens_per_s is None
