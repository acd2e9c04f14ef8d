"""How the page looks: Gradio's theme, the style sheet, and the browser's part of the page. Needs Gradio."""

from __future__ import annotations

import json
from pathlib import Path

import gradio as gr

from mock_server.chat_page.texts import LANGUAGES

_HERE = Path(__file__).parent
# fonts of the reader's machine: none is loaded from elsewhere
_FONT = ("system-ui", "-apple-system", "Segoe UI", "PingFang SC", "Microsoft YaHei", "Noto Sans CJK SC", "sans-serif")
_MONO = ("ui-monospace", "SFMono-Regular", "Menlo", "Consolas", "Noto Sans Mono", "monospace")


def theme() -> gr.themes.Base:
    return gr.themes.Base(
        primary_hue=gr.themes.colors.indigo,
        neutral_hue=gr.themes.colors.gray,
        radius_size=gr.themes.sizes.radius_lg,
        font=list(_FONT),
        font_mono=list(_MONO),
    )


def style() -> str:
    return (_HERE / "page.css").read_text("utf-8")


def head() -> str:
    """The browser's script, as an element of the page's head."""
    questions = {code: words.delete_sure for code, words in LANGUAGES.items()}
    script = (_HERE / "browser.js").read_text("utf-8")
    return f"<script>window.chatQuestions = {json.dumps(questions)};\n{script}</script>"
