"""The components of the page and where they stand. Needs Gradio."""

from __future__ import annotations

from dataclasses import asdict, dataclass
from typing import Any

import gradio as gr

from mock_server.chat_page.sampling import FIELDS
from mock_server.chat_page.texts import LANGUAGES, Words
from mock_server.engine.ranges import Whole

# Gradio looks up a browser's language by its whole tag
I18N = gr.I18n(**{tag: asdict(LANGUAGES[tag[:2]]) for tag in (*LANGUAGES, "zh-CN", "zh-TW", "zh-HK")})
_LATEX = [{"left": left, "right": right, "display": display} for left, right, display in (
    ("$$", "$$", True), ("\\[", "\\]", True), ("\\(", "\\)", False))]  # fmt: skip


@dataclass(frozen=True, slots=True)
class Page:
    """The components. Those that are not shown carry data between the browser and the handlers."""

    boot: gr.JSON
    """What the browser knows when the page is loaded."""
    current: gr.JSON
    """The conversation that is shown."""
    draft: gr.JSON
    """The conversation to be saved; apart, because another one may be shown by then."""
    index: gr.JSON
    """The conversations that the browser has."""
    chats: gr.Sidebar
    new_chat: gr.Button
    history: gr.Radio
    delete_chat: gr.Button
    chatbot: gr.Chatbot
    box: gr.Textbox
    notice: gr.Markdown
    settings_title: gr.Markdown
    model: gr.Dropdown
    reload_models: gr.Button
    system: gr.Textbox
    sampling: tuple[gr.Number, ...]
    language: gr.Radio
    appearance: gr.Radio

    @property
    def labelled(self) -> list[Any]:
        """The components that `labels` updates."""
        return [
            self.new_chat, self.history, self.delete_chat, self.settings_title, self.model, self.reload_models,
            self.language, self.appearance, *self.sampling, self.box, self.chatbot, self.system,
        ]  # fmt: skip

    def labels(self, words: Words, is_chat: bool) -> dict[Any, Any]:
        """Updates that put the page into a language."""
        return {
            self.new_chat: gr.update(value=words.new_chat),
            self.history: gr.update(label=words.history, info=words.no_history),
            self.delete_chat: gr.update(value=words.delete_chat),
            self.settings_title: gr.update(value=words.settings),
            self.model: gr.update(label=words.model),
            self.reload_models: gr.update(value=words.reload_models),
            self.system: gr.update(label=words.system, placeholder=words.system_hint),
            self.language: gr.update(label=words.language),
            self.appearance: gr.update(label=words.appearance, choices=appearances(words)),
            **{
                field: gr.update(label=getattr(words, name), placeholder=words.by_default)
                for name, field in zip(FIELDS, self.sampling, strict=True)
            },
            **self.mode(words, is_chat),
        }

    def mode(self, words: Words, is_chat: bool) -> dict[Any, Any]:
        """Updates for a model that chats, or that only continues text."""
        return {
            self.box: gr.update(placeholder=words.ask if is_chat else words.complete),
            self.chatbot: gr.update(placeholder=words.greeting if is_chat else words.greeting_base),
            self.system: gr.update(visible=is_chat, label=words.system, placeholder=words.system_hint),
        }


def appearances(words: Words | None = None) -> list[tuple[Any, str]]:
    return [(getattr(words, name) if words else I18N(name), name.removeprefix("as_")) for name in _APPEARANCES]


_APPEARANCES = ("as_system", "light", "dark")


def lay_out() -> Page:
    """The page, inside a `gr.Blocks` that is open."""
    boot, current, draft, index = [gr.JSON(visible=False) for _ in range(4)]
    with gr.Sidebar(open=False, width=280, elem_id="chats") as chats:
        new_chat = gr.Button(I18N("new_chat"), variant="secondary", elem_id="new-chat")
        history = gr.Radio([], label=I18N("history"), info=I18N("no_history"), elem_id="history", container=False)
        delete_chat = gr.Button(I18N("delete_chat"), size="sm", variant="secondary", elem_id="delete-chat")
    with gr.Sidebar(open=False, width=300, position="right", elem_id="settings"):
        settings_title = gr.Markdown(I18N("settings"), elem_id="settings-title")
        model = gr.Dropdown([], label=I18N("model"), filterable=False, interactive=True, elem_id="model")
        reload_models = gr.Button(I18N("reload_models"), size="sm", variant="secondary", elem_id="reload-models")
        system = gr.Textbox(
            label=I18N("system"), placeholder=I18N("system_hint"), lines=3, max_lines=8, elem_id="system"
        )
        with gr.Row(elem_id="sampling"):
            sampling = tuple(
                gr.Number(
                    value=None,
                    label=I18N(name),
                    placeholder=I18N("by_default"),
                    precision=0 if isinstance(allowed, Whole) else None,
                    step=1 if isinstance(allowed, Whole) else 0.1,
                    min_width=110,
                    elem_id=name.replace("_", "-"),
                )
                for name, allowed in FIELDS.items()
            )
        language = gr.Radio(
            [(words.name, code) for code, words in LANGUAGES.items()], label=I18N("language"), elem_id="language"
        )
        appearance = gr.Radio(appearances(), value="system", label=I18N("appearance"), elem_id="appearance")
    with gr.Column(elem_id="conversation", scale=1):
        chatbot = gr.Chatbot(
            show_label=False,
            container=False,
            scale=1,
            height="100%",
            editable="user",
            buttons=["copy"],
            layout="bubble",
            latex_delimiters=_LATEX,
            placeholder=I18N("greeting"),
            sanitize_html=True,
            elem_id="answers",
        )
        notice = gr.Markdown(visible=False, elem_id="notice")
        box = gr.Textbox(
            show_label=False,
            container=False,
            placeholder=I18N("ask"),
            lines=1,
            max_lines=10,
            autofocus=True,
            submit_btn=True,
            elem_id="box",
        )
    return Page(
        boot, current, draft, index, chats, new_chat, history, delete_chat, chatbot, box, notice, settings_title, model,
        reload_models, system, sampling, language, appearance,
    )  # fmt: skip
