"""Settings: model, system prompt, sampling, language and appearance; they stay when the page is loaded again."""

from __future__ import annotations

from typing import TYPE_CHECKING

from tests.browser.chat_window import ChatWindow
from tests.browser.conftest import open_window
from tests.browser.page_process import PageProcess
from tests.browser.servers import Recorder

if TYPE_CHECKING:
    from playwright.sync_api import Browser


BRIGHTNESS = "Math.max(...getComputedStyle(document.body).backgroundColor.match(/[\\d.]+/g).slice(0, 3).map(Number))"
"""Of the page behind the answers, from 0 to 255."""


def wait_until_dark(window: ChatWindow) -> None:
    window.tab.wait_for_function(f"{BRIGHTNESS} < 60")


def wait_until_light(window: ChatWindow) -> None:
    window.tab.wait_for_function(f"{BRIGHTNESS} > 200")


def test_an_adapter_is_chosen_and_answers(window: ChatWindow, recorder: Recorder) -> None:
    window.open_settings()
    window.tab.locator("#model input").click()
    listed = window.tab.get_by_role("option").all_inner_texts()
    assert [" ".join(text.split()) for text in listed] == ["✓ sim-chat", "└ my_tuner", "└ other"]
    window.tab.get_by_role("option", name="my_tuner").click()
    window.ask("Who are you?")
    assert recorder.last["model"] == "my_tuner"
    assert window.figures.inner_text().startswith("my_tuner · ")


def test_settings_are_sent_and_stay(window: ChatWindow, recorder: Recorder) -> None:
    window.open_settings()
    window.fill("system", "Answer in one word.")
    for field, value in {"temperature": "0.5", "top-p": "0.9", "top-k": "40", "max-tokens": "6", "seed": "7"}.items():
        window.fill(field, value)
    window.ask("Where?")
    sent = {name: recorder.last[name] for name in ("temperature", "top_p", "top_k", "max_tokens", "seed")}
    assert sent == {"temperature": 0.5, "top_p": 0.9, "top_k": 40, "max_tokens": 6, "seed": 7}
    assert recorder.last["messages"][0] == {"role": "system", "content": "Answer in one word."}
    assert "6 tokens" in window.figures.inner_text()
    assert "cut off at the token limit" in window.figures.inner_text()
    window.load()
    window.open_settings()
    assert window.tab.locator("#temperature input").input_value() == "0.5"
    assert window.tab.locator("#seed input").input_value() == "7"
    assert window.tab.locator("#system textarea").input_value() == "Answer in one word."


def test_an_empty_setting_is_left_to_the_server(window: ChatWindow, recorder: Recorder) -> None:
    window.ask("Where?")
    assert not {"temperature", "top_p", "top_k", "max_tokens", "seed"} & recorder.last.keys()
    assert [message["role"] for message in recorder.last["messages"]] == ["user"]


def test_a_setting_out_of_range_is_refused_and_the_text_stays(window: ChatWindow, recorder: Recorder) -> None:
    count = len(recorder.bodies)
    window.open_settings()
    window.fill("temperature", "5")
    window.send("Where?")
    window.tab.get_by_text("Temperature must be in the range [0, 2] (got 5).").wait_for()
    assert window.box.input_value() == "Where?"
    assert len(recorder.bodies) == count
    assert window.questions.count() == 0


def test_the_page_speaks_chinese_in_a_chinese_browser(chromium: Browser, page: PageProcess) -> None:
    with open_window(chromium, page, locale="zh-CN") as window:
        assert window.box.get_attribute("placeholder") == "输入消息"
        assert window.tab.locator("#new-chat").inner_text() == "新对话"
        window.ask("西湖在哪里?")
        assert "token/秒" in window.figures.inner_text()
        assert window.tab.locator("#temperature").inner_text().strip() == "温度"


def test_the_language_is_switched_and_stays(window: ChatWindow) -> None:
    window.ask("Where?")
    window.open_settings()
    window.choose("language", "中文")
    window.tab.get_by_placeholder("输入消息").wait_for()
    assert "token/秒" in window.figures.inner_text()
    assert window.tab.locator("#appearance").inner_text().split() == ["外观", "跟随系统", "浅色", "深色"]
    window.load()
    window.tab.get_by_placeholder("输入消息").wait_for()


def test_the_page_is_dark_where_the_system_is(chromium: Browser, page: PageProcess) -> None:
    with open_window(chromium, page, color_scheme="dark") as window:
        wait_until_dark(window)
        window.open_settings()
        window.choose("appearance", "Light")
        wait_until_light(window)
        window.load()
        wait_until_light(window)


def test_the_appearance_is_chosen_against_the_system(window: ChatWindow) -> None:
    wait_until_light(window)
    window.open_settings()
    window.choose("appearance", "Dark")
    wait_until_dark(window)
    window.load()
    wait_until_dark(window)
