from __future__ import annotations

import re
from dataclasses import asdict

import pytest

from mock_server.chat_page.texts import CHINESE, ENGLISH, language_of, words_of


@pytest.mark.parametrize(
    ("tag", "language"),
    [
        ("zh-CN", "zh"),
        ("zh", "zh"),
        ("ZH_TW", "zh"),
        ("en-GB", "en"),
        ("de", "en"),
        ("", "en"),
        (None, "en"),
        (7, "en"),
    ],
)
def test_the_language_of_a_browser(tag: object, language: str) -> None:
    assert language_of(tag) == language


def test_both_languages_take_the_same_values() -> None:
    for name, text in asdict(ENGLISH).items():
        other = getattr(CHINESE, name)
        assert other, name
        assert re.findall(r"\{\w+\}", other) == re.findall(r"\{\w+\}", text), name
    assert words_of("zh-Hans") is CHINESE
