"""Asks the chat page of `app-ui` a question, as a reader does, and prints the answer and the figures under it.

usage: ask_page.py URL QUESTION [PICTURE]; runs in .venv-browser, with Debian's Chromium. PICTURE is a PNG of the page.
"""

from __future__ import annotations

import shutil
import sys

from playwright.sync_api import expect, sync_playwright

FLAGS = (
    *("--headless", "--no-sandbox", "--disable-gpu", "--disable-quic", "--no-first-run", "--disable-sync"),
    *("--disable-background-networking", "--disable-component-update"),
)
LIMIT_MS = 120_000


def main() -> None:
    url, question, *picture = sys.argv[1:]
    program = shutil.which("chromium") or shutil.which("google-chrome")
    if program is None:
        sys.exit("error: no Chromium on PATH: on Debian, apt-get install chromium")
    with sync_playwright() as playwright:
        browser = playwright.chromium.launch(executable_path=program, args=list(FLAGS))
        tab = browser.new_page(locale="en-US")
        tab.set_default_timeout(LIMIT_MS)
        tab.goto(url)
        tab.locator("#language input:checked").wait_for(state="attached")
        tab.locator("#box textarea").fill(question)
        tab.locator("#box textarea").press("Enter")
        figures = tab.locator("#answers .chat-figures")
        expect(figures).to_have_count(1, timeout=LIMIT_MS)
        print(tab.locator("#answers [data-testid=bot] .message-content").first.inner_text())
        print(figures.inner_text())
        for file in picture:
            tab.screenshot(path=file)
        browser.close()


if __name__ == "__main__":
    main()
