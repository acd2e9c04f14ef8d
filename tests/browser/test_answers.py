"""Questions and answers: they arrive, can be stopped, asked again and edited, and nothing in them is executed."""

from __future__ import annotations

import re
import urllib.request
from collections.abc import Iterator
from typing import TYPE_CHECKING

import pytest

from tests.browser.chat_window import ChatWindow
from tests.browser.conftest import KEY, open_window
from tests.browser.page_process import PageProcess
from tests.browser.servers import Recorder
from tests.support.serving import Serving

if TYPE_CHECKING:
    from playwright.sync_api import Browser


@pytest.fixture
def odd_window(chromium: Browser, odd_page: PageProcess) -> Iterator[ChatWindow]:
    with open_window(chromium, odd_page) as window:
        yield window


def test_figures_stand_under_an_answer(window: ChatWindow) -> None:
    assert window.ask("Where is West Lake?")
    line = window.figures.inner_text()
    found = re.fullmatch(r"sim-chat · \d+ tokens · ([\d.]+) tokens/s · TTFT (\d+) ms", line)
    assert found, line
    assert float(found[1]) > 0
    assert float(found[2]) >= 50  # what the server takes


def test_an_answer_arrives_bit_by_bit(window: ChatWindow) -> None:
    window.send("Tell me an endless story.")
    window.answers.wait_for()
    first = window.answers.inner_text()
    window.tab.wait_for_function(f"document.querySelector('#answers .bot').innerText.length > {len(first) + 20}")
    assert window.answers.inner_text().startswith(first.rstrip())
    assert window.figures.count() == 0
    window.stop_button.click()
    window.wait_for_answer(1)


def test_enter_sends_and_shift_enter_begins_a_line(window: ChatWindow, recorder: Recorder) -> None:
    window.box.fill("One")
    window.box.press("Shift+Enter")
    window.box.press_sequentially("two")
    assert window.questions.count() == 0
    window.box.press("Enter")
    window.wait_for_answer(1)
    assert recorder.last["messages"][-1]["content"] == "One\ntwo"
    assert window.box.input_value() == ""
    window.send("  ")  # nothing to send
    assert window.questions.count() == 1


def test_a_conversation_is_sent_with_each_question(window: ChatWindow, recorder: Recorder) -> None:
    answer = window.ask("One?")
    window.ask("Two?")
    roles = [(message["role"], message["content"]) for message in recorder.last["messages"]]
    assert [role for role, _ in roles] == ["user", "assistant", "user"]
    assert roles[0][1] == "One?"
    assert " ".join(roles[1][1].split()) == " ".join(answer.split())
    assert roles[2][1] == "Two?"


def test_a_stopped_answer_stays_as_far_as_it_came_and_ends_in_the_engine(window: ChatWindow, server: Serving) -> None:
    before = metric(server, 'vllm:request_success_total{.*finished_reason="abort"')
    window.send("Tell me an endless story.")
    window.answers.wait_for()
    window.stop_button.click()
    text = window.wait_for_answer(1)
    assert text
    assert "stopped" in window.figures.inner_text()
    assert metric(server, "vllm:num_requests_running") == 0
    assert metric(server, 'vllm:request_success_total{.*finished_reason="abort"') == before + 1
    assert window.stored()[0]["turns"][0]["ending"] == "stopped"
    window.ask("And now?")  # the page goes on
    assert window.answers.count() == 2


def test_an_answer_ends_in_the_engine_when_its_page_is_closed(
    chromium: Browser, page: PageProcess, server: Serving
) -> None:
    with open_window(chromium, page) as window:
        window.send("Tell me an endless story.")
        window.answers.wait_for()
    with open_window(chromium, page):  # takes long enough for the page to notice
        pass
    assert metric(server, "vllm:num_requests_running") == 0


def test_a_question_is_asked_again(window: ChatWindow, recorder: Recorder) -> None:
    window.ask("One?")
    window.ask("Two?")
    window.press("Retry")
    window.tab.wait_for_function("document.querySelectorAll('#answers .chat-figures').length === 1")
    window.wait_for_answer(2)
    assert [message["content"] for message in recorder.last["messages"]][::2] == ["One?", "Two?"]
    assert window.questions.all_inner_texts() == ["One?", "Two?"]


def test_an_edited_question_replaces_what_followed_it(window: ChatWindow, recorder: Recorder) -> None:
    window.ask("One?")
    window.ask("Two?")
    window.press("Edit", 0)
    window.tab.locator("#answers textarea").fill("Another one?")
    window.press("Submit")
    window.tab.wait_for_function("document.querySelectorAll('#answers [data-testid=user]').length === 1")
    window.wait_for_answer(1)
    assert [message["content"] for message in recorder.last["messages"]] == ["Another one?"]
    assert window.questions.all_inner_texts() == ["Another one?"]


def test_an_error_of_the_server_is_shown_and_the_conversation_goes_on(odd_window: ChatWindow) -> None:
    odd_window.ask("hello")
    odd_window.ask("500")
    odd_window.failures.wait_for()
    assert "<b>no</b> answer: 500" in odd_window.failures.inner_text()
    assert odd_window.questions.all_inner_texts() == ["hello", "500"]
    odd_window.load()
    assert odd_window.failures.count() == 1
    assert odd_window.ask("fine again") == "fine again"


def test_a_broken_answer_keeps_its_text(odd_window: ChatWindow) -> None:
    odd_window.ask("this will break here")
    assert odd_window.answers.inner_text().strip() == "this will break"
    assert odd_window.failures.inner_text().startswith("No complete answer:")


def test_nothing_in_an_answer_is_executed_or_loaded_from_elsewhere(odd_window: ChatWindow) -> None:
    hostile = (
        "<img src=x onerror='window.hit=1'> <script>window.hit=1</script> <svg onload='window.hit=1'></svg>"
        " <a href='javascript:window.hit=1'>link</a> ![pixel](https://example.invalid/leak.png)"
        " <iframe src='https://example.invalid/'></iframe> <style>@import url(https://example.invalid/a.css);</style>"
    )
    odd_window.ask(hostile)
    assert odd_window.tab.evaluate("window.hit") is None
    for link in odd_window.answers.get_by_text("link").all():
        link.click(timeout=2_000)
    assert odd_window.tab.evaluate("window.hit") is None
    assert odd_window.answers.locator("script, iframe, [onerror], [onload]").count() == 0
    # the browser was about to ask for the picture, and the page's policy kept it from doing so
    assert any("example.invalid/leak.png" in text for text in odd_window.refused)
    odd_window.outside.clear()


def metric(server: Serving, pattern: str) -> float:
    request = urllib.request.Request(f"{server.root}/metrics", headers={"Authorization": f"Bearer {KEY}"})
    with urllib.request.urlopen(request, timeout=10) as answer:
        lines = answer.read().decode().splitlines()
    return sum(float(line.rpartition(" ")[2]) for line in lines if re.match(pattern, line))
