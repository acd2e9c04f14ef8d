"""Conversations stay in the browser: through reloads, beside each other, and from several tabs."""

from __future__ import annotations

from typing import TYPE_CHECKING

from tests.browser.chat_window import ChatWindow
from tests.browser.conftest import open_window
from tests.browser.page_process import PageProcess

if TYPE_CHECKING:
    from playwright.sync_api import Browser


def test_a_conversation_is_there_after_a_reload(window: ChatWindow) -> None:
    answer = window.ask("Where is West Lake?")
    figures = window.figures.inner_text()
    window.load()
    assert window.questions.all_inner_texts() == ["Where is West Lake?"]
    assert window.answers.inner_text() == answer
    assert window.figures.inner_text() == figures
    assert window.chats.all_inner_texts() == ["Where is West Lake?"]


def test_a_question_is_saved_before_its_answer_is_complete(window: ChatWindow) -> None:
    window.send("Tell me an endless story.")
    window.answers.wait_for()
    window.load()
    assert window.questions.all_inner_texts() == ["Tell me an endless story."]
    assert "interrupted" in window.figures.inner_text()
    window.press("Retry")
    window.stop_button.click()
    window.wait_for_answer(1)


def test_several_conversations_are_kept_apart(window: ChatWindow) -> None:
    first = window.ask("First?")
    window.tab.locator("#new-chat").click()
    window.tab.get_by_text("What would you like to ask?").wait_for()
    second = window.ask("Second?")
    assert window.chats.all_inner_texts() == ["Second?", "First?"]
    window.chats.nth(1).click()
    window.tab.locator("#answers").get_by_text("First?").wait_for()
    assert window.answers.all_inner_texts() == [first]
    window.chats.nth(0).click()
    window.tab.locator("#answers").get_by_text("Second?").wait_for()
    assert window.answers.all_inner_texts() == [second]


def test_an_answer_that_is_left_is_stopped_and_saved(window: ChatWindow) -> None:
    window.send("Tell me an endless story.")
    window.answers.wait_for()
    window.tab.locator("#new-chat").click()
    window.tab.get_by_text("What would you like to ask?").wait_for()
    window.ask("Something else?")
    window.chats.nth(1).click()
    window.tab.locator("#answers").get_by_text("endless").wait_for()
    assert window.answers.inner_text()
    assert "stopped" in window.figures.inner_text()


def test_each_of_many_answers_that_are_left_makes_room_and_is_saved(window: ChatWindow) -> None:
    for number in range(20):  # the end of an answer may reach the page after the new conversation
        window.send(f"Tell me endless story {number}.")
        window.answers.wait_for()
        window.tab.locator("#new-chat").click()
        window.tab.get_by_text("What would you like to ask?").wait_for()
    assert len(window.stored()) == 20


def test_a_conversation_is_deleted_after_a_question(window: ChatWindow) -> None:
    window.ask("First?")
    window.tab.once("dialog", lambda dialog: dialog.dismiss())
    window.tab.locator("#delete-chat").click()
    assert window.questions.count() == 1
    assert len(window.stored()) == 1
    window.tab.once("dialog", lambda dialog: dialog.accept())
    window.tab.locator("#delete-chat").click()
    window.tab.get_by_text("What would you like to ask?").wait_for()
    window.chats.wait_for(state="detached")
    assert window.stored() == []


def test_two_tabs_do_not_overwrite_each_others_conversations(window: ChatWindow) -> None:
    other = ChatWindow(window.tab.context.new_page(), window.url)
    window.ask("One?")
    other.ask("Two?")
    assert sorted(chat["title"] for chat in window.stored()) == ["One?", "Two?"]
    window.load()
    assert window.questions.all_inner_texts() == ["One?"]
    assert window.chats.all_inner_texts() == ["Two?", "One?"]


def test_browsers_see_only_their_own_conversations(chromium: Browser, page: PageProcess) -> None:
    with open_window(chromium, page) as one, open_window(chromium, page) as other:
        one.send("Tell me an endless story.")
        one.answers.wait_for()
        other.ask("Quick?")  # while the first one's answer is arriving
        assert one.stop_button.is_visible()
        assert other.chats.all_inner_texts() == ["Quick?"]
        one.stop_button.click()
        one.wait_for_answer(1)
        assert one.chats.all_inner_texts() == ["Tell me an endless story."]


def test_a_browser_without_room_says_that_nothing_is_saved(window: ChatWindow) -> None:
    window.tab.evaluate("localStorage.setItem('full', 'x'.repeat(5 * 1024 * 1024 - 400))")
    window.ask("A question that does not fit any more, because there is no room left for it?")
    window.tab.get_by_text("The browser's storage is full").wait_for()
    assert window.answers.count() == 1
