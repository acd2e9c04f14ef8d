from __future__ import annotations

import pytest

from mock_server.chat_page.conversation import Conversation, Figures, Turn
from mock_server.chat_page.shown import Shown, figures_line, shown, turn_of
from mock_server.chat_page.texts import CHINESE, ENGLISH

FIGURES = Figures(ttft_s=0.0804, last_s=1.0804, tokens=43, is_counted=True)


def test_messages_of_a_turn_in_order() -> None:
    turns = (
        Turn("q", "a", "hm", "m", "stop", figures=FIGURES),
        Turn("r", "half", "", "m", "failed", "<b>gone</b>"),
    )
    assert [(item.kind, item.text, item.turn) for item in shown(Conversation("c", turns), ENGLISH)] == [
        ("question", "q", 0),
        ("thoughts", "hm", 0),
        ("answer", "a", 0),
        ("figures", "m · 43 tokens · 42.0 tokens/s · TTFT 80 ms", 0),
        ("question", "r", 1),
        ("answer", "half", 1),
        ("error", "No complete answer: <b>gone</b>", 1),
        ("figures", "m", 1),
    ]


def test_an_answer_under_way_has_no_figures_yet() -> None:
    waiting = Conversation("c", (Turn("q"),))
    assert [item.kind for item in shown(waiting, ENGLISH, is_arriving=True)] == ["question", "waiting"]
    begun = Conversation("c", (Turn("q", "a", model="m"),))
    assert [item.kind for item in shown(begun, ENGLISH, is_arriving=True)] == ["question", "answer"]
    assert figures_line(begun.turns[0], ENGLISH) == "m · interrupted"  # once its page is gone


def test_no_line_stands_under_an_answer_of_which_nothing_is_known() -> None:
    items = shown(Conversation("c", (Turn("q", ending="failed", error="no"),)), ENGLISH)
    assert [item.kind for item in items] == ["question", "error"]


def test_an_empty_answer_says_so() -> None:
    items = shown(Conversation("c", (Turn("q", model="m", ending="stop"),)), CHINESE)
    assert [item.text for item in items] == ["q", CHINESE.no_text, "m"]


def test_text_that_is_not_markdown_is_escaped() -> None:
    assert Shown("error", "<img src=x>", 0).html == '<span class="chat-error">&lt;img src=x&gt;</span>'
    assert [Shown(kind, "", 0).is_html for kind in ("question", "thoughts", "answer")] == [False] * 3  # type: ignore[arg-type]


def test_the_turn_of_a_message() -> None:
    items = shown(Conversation("c", (Turn("q", "a", model="m", ending="stop"), Turn("r"))), ENGLISH)
    assert [turn_of(items, index) for index in (-1, 0, 2, 3, 5)] == [None, 0, 0, 1, None]


@pytest.mark.parametrize(
    ("figures", "english", "chinese"),
    [
        (Figures(0.0004, 0.0004, 1, True), "1 token · TTFT 0 ms", "1 个 token · 首个 token 0 ms"),
        (Figures(1.234, 2.234, 1235, True), "1,235 tokens · 1,234 tokens/s · TTFT 1.23 s", None),
        (Figures(12.34, 13.34, 10, False), "≈ 10 tokens · 9.00 tokens/s · TTFT 12.3 s", None),
        (Figures(0.9996, 1.9996, 3, True), "3 tokens · 2.00 tokens/s · TTFT 1.00 s", None),
        (
            Figures(0.5, 1.5, 3, True),
            "3 tokens · 2.00 tokens/s · TTFT 500 ms",
            "3 个 token · 2.00 token/秒 · 首个 token 500 ms",
        ),
    ],
)
def test_figures_in_words(figures: Figures, english: str, chinese: str | None) -> None:
    turn = Turn("q", "a", ending="stop", figures=figures)
    assert figures_line(turn, ENGLISH) == english
    if chinese is not None:
        assert figures_line(turn, CHINESE) == chinese


@pytest.mark.parametrize(
    ("ending", "told"), [("stopped", "stopped"), ("length", "cut off at the token limit"), ("", "interrupted")]
)
def test_an_unusual_ending_is_told(ending: str, told: str) -> None:
    assert figures_line(Turn("q", "a", ending=ending), ENGLISH) == told  # type: ignore[arg-type]
