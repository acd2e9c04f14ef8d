"""A tab of a browser with the page in it: what a reader of the page does and sees."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from playwright.sync_api import Locator, Page

_LIMIT_MS = 60_000
# which sites have; a browser asks for these by itself
_LOCAL = ("data:", "blob:", "about:")


class ChatWindow:
    """`outside` are addresses of other hosts that the page asked for, `errors` those that scripts ran into."""

    def __init__(self, tab: Page, url: str) -> None:
        self.tab = tab
        self.url = url
        self.outside: list[str] = []
        self.errors: list[str] = []
        self.refused: list[str] = []
        """What the page's own rules kept the browser from loading."""
        tab.set_default_timeout(_LIMIT_MS)
        tab.on("request", lambda request: self._see(request.url))
        tab.on("pageerror", lambda error: self.errors.append(str(error)))
        tab.on("console", lambda message: self._hear(message.text))
        self.load()

    def load(self) -> None:
        """Opens the page, or reloads it, until it can be used."""
        self.tab.goto(self.url)
        self.tab.locator("#language input:checked").wait_for(state="attached")

    def _see(self, address: str) -> None:
        if not address.startswith((self.url, *_LOCAL)):
            self.outside.append(address)

    def _hear(self, text: str) -> None:
        if "Content Security Policy" in text:
            self.refused.append(text)

    # what is on the page

    @property
    def box(self) -> Locator:
        return self.tab.locator("#box textarea")

    @property
    def questions(self) -> Locator:
        return self.tab.locator("#answers [data-testid=user] .message-content")

    @property
    def answers(self) -> Locator:
        return self.tab.locator("#answers [data-testid=bot]:not(:has(.thought-group)) .message-content")

    @property
    def figures(self) -> Locator:
        return self.tab.locator("#answers .chat-figures")

    @property
    def failures(self) -> Locator:
        return self.tab.locator("#answers .chat-error")

    @property
    def chats(self) -> Locator:
        return self.tab.locator("#history label")

    @property
    def stop_button(self) -> Locator:
        return self.tab.locator("#box .stop-button")

    def stored(self) -> list[dict[str, Any]]:
        """The conversations in the browser's storage."""
        kept: dict[str, str] = self.tab.evaluate("({ ...localStorage })")
        return [json.loads(text) for key, text in kept.items() if key.startswith("streamgauge.chat.")]

    # what is done with it

    def send(self, text: str) -> None:
        self.box.fill(text)
        self.box.press("Enter")

    def ask(self, text: str) -> str:
        """Sends it and waits for the whole answer, which it returns."""
        number = self.figures.count() + 1
        self.send(text)
        return self.wait_for_answer(number)

    def wait_for_answer(self, number: int) -> str:
        """The text of the last answer, once there are as many complete ones."""
        self.figures.nth(number - 1).wait_for()
        self.tab.locator("#box .submit-button").wait_for()
        return self.answers.last.inner_text() if self.answers.count() else ""

    def press(self, label: str, index: int = -1) -> None:
        """One of the small buttons under messages: Retry, Edit, Copy message, Submit."""
        found = self.tab.locator(f"#answers button[aria-label='{label}']")
        (found.last if index < 0 else found.nth(index)).click()

    def open_settings(self) -> None:
        self.tab.locator("#settings .toggle-button").click()

    def choose_model(self, name: str) -> None:
        self.tab.locator("#model input").click()
        self.tab.get_by_role("option", name=name).click()

    def fill(self, field: str, value: str) -> None:
        self.tab.locator(f"#{field} input, #{field} textarea").fill(value)

    def choose(self, field: str, label: str) -> None:
        self.tab.locator(f"#{field} label", has_text=label).click()
