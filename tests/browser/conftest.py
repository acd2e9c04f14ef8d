"""A headless Chromium on pages of `app-ui`, over servers in this process. Run by `make test-browser`."""

from __future__ import annotations

import contextlib
import shutil
from collections.abc import Iterator
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

from mock_server.app import create_app
from mock_server.engine.base import Adapter
from mock_server.settings import ServerSettings
from tests.browser.chat_window import ChatWindow
from tests.browser.page_process import PageProcess, page_process
from tests.browser.servers import Recorder, odd_server
from tests.support.serving import Serving, scripted_engine, serving_app

if TYPE_CHECKING:
    from playwright.sync_api import Browser

KEY = "a-key-that-no-page-may-show"
HERE = Path(__file__).parent
_FLAGS = (
    *("--headless", "--no-sandbox", "--disable-gpu", "--disable-quic", "--no-first-run", "--disable-sync"),
    *("--disable-background-networking", "--disable-component-update"),
)


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    for item in items:
        if HERE in item.path.parents:
            item.add_marker(pytest.mark.browser)


@pytest.fixture(scope="session")
def chromium() -> Iterator[Browser]:
    from playwright.sync_api import sync_playwright

    program = shutil.which("chromium") or shutil.which("google-chrome")
    if program is None:
        pytest.fail("no Chromium on PATH: run make test-browser, which installs it")
    with sync_playwright() as playwright:
        browser = playwright.chromium.launch(executable_path=program, args=list(_FLAGS))
        yield browser
        browser.close()


@pytest.fixture(scope="session")
def recorder() -> Recorder:
    """A server with two adapters and a key, whose answers take a second or two; it keeps the bodies of requests."""
    settings = ServerSettings(api_keys=(KEY,), adapters=(Adapter("my_tuner", ""), Adapter("other", "")))
    return Recorder(create_app(scripted_engine(ttft_s=0.05, itl_s=0.02), settings))


@pytest.fixture(scope="session")
def server(recorder: Recorder) -> Iterator[Serving]:
    with serving_app(recorder) as served:
        yield served


@pytest.fixture(scope="session")
def page(server: Serving) -> Iterator[PageProcess]:
    """The page over `server`."""
    with page_process("--base-url", server.url, "--api-key", KEY) as process:
        yield process


@pytest.fixture(scope="session")
def odd_page() -> Iterator[PageProcess]:
    """The page over a server that says what it is asked to say, or fails."""
    with serving_app(odd_server()) as served, page_process("--base-url", served.url) as process:
        yield process


@pytest.fixture
def window(chromium: Browser, page: PageProcess) -> Iterator[ChatWindow]:
    """A fresh browser on `page`, in English, as wide as a laptop."""
    with open_window(chromium, page) as window:
        yield window


@contextlib.contextmanager
def open_window(
    chromium: Browser, page: PageProcess, *, width: int = 1280, height: int = 800, **options: object
) -> Iterator[ChatWindow]:
    """A browser without anything stored. When it closes, it must have asked no other host and reported no error."""
    context = chromium.new_context(**{"locale": "en-US", "viewport": {"width": width, "height": height}, **options})  # type: ignore[arg-type]
    try:
        window = ChatWindow(context.new_page(), page.url)
        yield window
        assert window.outside == []
        assert window.errors == []
    finally:
        context.close()
