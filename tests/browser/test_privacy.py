"""What leaves the machine: nothing. And what a page may know."""

from __future__ import annotations

import urllib.error
import urllib.request

import pytest

from tests.browser.chat_window import ChatWindow
from tests.browser.conftest import KEY
from tests.browser.page_process import PageProcess


def get(url: str, **headers: str) -> tuple[int, str, str]:
    """Status, policy and body."""
    try:
        with urllib.request.urlopen(urllib.request.Request(url, headers=headers), timeout=20) as answer:
            return answer.status, answer.headers["content-security-policy"], answer.read().decode()
    except urllib.error.HTTPError as error:
        with error:
            return error.code, "", error.read().decode()


def test_the_key_of_the_server_is_in_nothing_that_the_page_sends(page: PageProcess, window: ChatWindow) -> None:
    window.ask("Where?")
    texts = [get(page.url + path)[2] for path in ("/", "/config", "/gradio_api/info", "/theme.css")]
    assert all(len(text) > 20 for text in texts)
    assert not [text for text in [*texts, window.tab.content()] if KEY in text]


def test_a_page_may_load_nothing_from_other_hosts(page: PageProcess) -> None:
    _, policy, text = get(f"{page.url}/")
    assert policy.startswith("default-src 'self' data: blob:;")
    assert "fonts.googleapis.com/css" not in text


@pytest.mark.parametrize("path", ["/", "/config", "/gradio_api/queue/data?session_hash=x"])
def test_another_name_for_this_machine_is_refused(page: PageProcess, path: str) -> None:
    status, _, text = get(page.url + path, Host="evil.example")
    assert status == 403
    assert "host_not_allowed" in text


def test_pages_of_other_origins_are_refused(page: PageProcess) -> None:
    request = urllib.request.Request(
        f"{page.url}/gradio_api/queue/join", b"{}", {"Origin": "http://evil.example", "Content-Type": "text/plain"}
    )
    with pytest.raises(urllib.error.HTTPError) as caught:
        urllib.request.urlopen(request, timeout=20)
    with caught.value as refusal:
        assert refusal.code == 403
        assert "origin_not_allowed" in refusal.read().decode()


def test_nothing_can_be_uploaded(page: PageProcess) -> None:
    part = '--x\r\nContent-Disposition: form-data; name="files"; filename="a"\r\n\r\nhello\r\n--x--\r\n'
    headers = {"Content-Type": "multipart/form-data; boundary=x"}
    request = urllib.request.Request(f"{page.url}/gradio_api/upload", part.encode(), headers)
    with pytest.raises(urllib.error.HTTPError) as caught:
        urllib.request.urlopen(request, timeout=20)
    with caught.value as refusal:
        assert refusal.code == 413
