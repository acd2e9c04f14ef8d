"""On a phone the page fits, the answers come first, and the settings are a tap away."""

from __future__ import annotations

from collections.abc import Iterator
from typing import TYPE_CHECKING

import pytest

from tests.browser.chat_window import ChatWindow
from tests.browser.conftest import open_window
from tests.browser.page_process import PageProcess

if TYPE_CHECKING:
    from playwright.sync_api import Browser, Locator

WIDTH, HEIGHT = 390, 844


@pytest.fixture
def phone(chromium: Browser, page: PageProcess) -> Iterator[ChatWindow]:
    with open_window(chromium, page, width=WIDTH, height=HEIGHT, is_mobile=True, has_touch=True) as window:
        yield window


def is_inside(part: Locator) -> bool:
    box = part.bounding_box()
    assert box is not None
    return box["x"] >= 0 and box["y"] >= 0 and box["x"] + box["width"] <= WIDTH and box["y"] + box["height"] <= HEIGHT


def test_the_page_fits(phone: ChatWindow) -> None:
    phone.ask("Where is West Lake, and what is there to see on a day in autumn? Please tell me in some detail.")
    assert phone.tab.evaluate("document.documentElement.scrollWidth") <= WIDTH
    for part in (phone.box, phone.questions, phone.answers, phone.figures):
        assert is_inside(part)
    font = phone.answers.locator("p").first.evaluate("each => parseFloat(getComputedStyle(each).fontSize)")
    assert font >= 15


def test_settings_and_conversations_open_over_it(phone: ChatWindow) -> None:
    phone.ask("Where?")
    phone.open_settings()
    phone.choose_model("my_tuner")
    phone.open_settings()  # the same button closes them
    phone.ask("And who?")
    assert phone.figures.last.inner_text().startswith("my_tuner · ")
    phone.tab.locator("#chats .toggle-button").click()
    phone.tab.locator("#new-chat").click()
    phone.tab.locator("#chats .toggle-button").click()
    phone.tab.get_by_text("What would you like to ask?").wait_for()
