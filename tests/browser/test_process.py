"""The command: a model in its own process, its ready line, and its end."""

from __future__ import annotations

import os
import re
import signal
import socket
from typing import TYPE_CHECKING

from tests.browser.conftest import open_window
from tests.browser.page_process import page_process, start

if TYPE_CHECKING:
    from playwright.sync_api import Browser


def test_a_base_model_in_the_process_continues_text(chromium: Browser) -> None:
    with page_process("--engine", "sim", "--no-chat", "--root-path", "/chat") as page:
        assert re.fullmatch(r"ready http://127\.0\.0\.1:\d+/chat/ model=sim-base", page.ready_line)
        with open_window(chromium, page) as window:
            assert window.box.get_attribute("placeholder") == "Text to continue"
            window.tab.get_by_text("This is a base model.").wait_for()
            window.open_settings()
            assert window.tab.locator("#system").count() == 0
            assert window.ask("West Lake is")
            assert window.figures.inner_text().startswith("sim-base · ")


def test_ctrl_c_ends_the_page_while_an_answer_arrives(chromium: Browser) -> None:
    with page_process("--engine", "sim", "--time-scale", "0.02") as page, open_window(chromium, page) as window:
        window.send("Tell me a story.")
        window.answers.wait_for()
        assert page.end(signal.SIGINT) == (0, "")
        # what had arrived is in the browser
        assert [turn["question"] for turn in window.stored()[0]["turns"]] == ["Tell me a story."]


def test_a_port_that_is_taken_is_told_in_a_line() -> None:
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))
        taken.listen()
        port = str(taken.getsockname()[1])
        process = start("--engine", "sim", "--port", port)
        out, log = process.communicate(timeout=60)
    assert (process.returncode, out) == (1, "")
    assert log == (
        f"Error: port {port} on 127.0.0.1 is taken: choose another with --port, or --port 0 for a free one\n"
    )


def test_a_page_without_its_server_says_so_and_finds_it_later(chromium: Browser) -> None:
    with socket.socket() as nobody:
        nobody.bind(("127.0.0.1", 0))
        url = f"http://127.0.0.1:{nobody.getsockname()[1]}"
        process = start("--base-url", url, "--port", "0")
        assert process.stdout is not None
        line = process.stdout.readline()
        try:
            assert line.startswith("ready "), line

            class Page:
                url = line.split()[1]

            with open_window(chromium, Page()) as window:  # type: ignore[arg-type]
                window.tab.get_by_text("The list of models could not be loaded:").wait_for()
                window.send("Anybody there?")
                window.failures.wait_for()
                assert window.questions.all_inner_texts() == ["Anybody there?"]
        finally:
            os.kill(process.pid, signal.SIGTERM)
            _, log = process.communicate(timeout=30)
    assert process.returncode == 0
    assert log.startswith("the list of models could not be loaded: ")
    assert log.count("\n") == 1
