"""Connects the events of the page with what handles them: in the browser (`browser.js`) and in `Handlers`."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import gradio as gr

from mock_server.chat_page.backend import Backend
from mock_server.chat_page.handlers import Handlers
from mock_server.chat_page.layout import Page, lay_out

_QUIET: dict[str, Any] = {
    "show_progress": "hidden",
    "api_visibility": "private",
    "concurrency_limit": None,
    "preprocess": False,  # it checks choices against those of this process, which may have been restarted since
}


def build(backend: Backend) -> gr.Blocks:
    """The page."""
    with gr.Blocks(title="streamgauge", fill_height=True, fill_width=True, analytics_enabled=False) as blocks:
        page = lay_out()
        handlers = Handlers(page, backend)
        _start(blocks, page, handlers)
        _answers(page, handlers)
        _chats(page, handlers)
        _settings(page, handlers)
        blocks.unload(handlers.stop)
    return blocks


def _start(blocks: gr.Blocks, page: Page, handlers: Handlers) -> None:
    shown = [*page.labelled, page.chats, page.notice, page.current]
    _on(blocks.load, handlers.boot, [page.boot], shown, js="() => [chatPage.boot()]")


def _answers(page: Page, handlers: Handlers) -> None:
    form = [page.current, page.language, page.model, page.system, *page.sampling]
    results = [page.chatbot, page.box, page.current, page.draft]
    _on(page.box.submit, handlers.ask, [page.box, *form], results)
    _on(page.chatbot.retry, handlers.ask_again, form, results)
    _on(page.chatbot.edit, handlers.edit, form, results)
    _on(page.box.stop, handlers.stop, None, None, queue=False)
    _on(page.draft.change, None, [page.draft], [page.index], js="(draft) => [chatPage.save(draft)]")


def _chats(page: Page, handlers: Handlers) -> None:
    listed = [page.index, page.current, page.language]
    _on(page.index.change, handlers.list_chats, listed, [page.history, page.notice])
    found = [page.current, page.language, page.index]
    opened = [page.chatbot, page.current, page.index, page.history, page.system]
    for event, conversation in (
        (page.new_chat.click, "chatPage.create(current)"),
        (page.delete_chat.click, "chatPage.remove(current, language)"),
    ):
        js = f"(current, language) => [{conversation}, language, chatPage.index()]"
        _on(event, handlers.open, found, opened, js=js)
    js = "(current, language, index, id) => [chatPage.open(id, current), language, index, id]"
    _on(page.history.input, handlers.open, [*found, page.history], opened, js=js)


def _settings(page: Page, handlers: Handlers) -> None:
    model = [page.model, page.notice, page.box, page.chatbot, page.system]
    _on(page.reload_models.click, handlers.reload_models, [page.model, page.language], model)
    _on(page.model.input, handlers.choose_model, [page.model, page.language], [page.box, page.chatbot, page.system])
    _on(
        page.language.input,
        handlers.choose_language,
        [page.language, page.model, page.current],
        [*page.labelled, page.current],
    )
    for name, component in {"language": page.language, "appearance": page.appearance, "model": page.model}.items():
        _on(component.input, None, [component], None, js=f"({name}) => {{ chatPage.keep({{ {name} }}); }}")
    _on(page.system.input, None, [page.system], None, js="(system) => { chatPage.keep({ system }); }")
    keep = "(...sampling) => { chatPage.keep({ sampling }); }"
    for field in page.sampling:
        _on(field.input, None, list(page.sampling), None, js=keep)


def _on(event: Callable[..., Any], handler: Callable[..., Any] | None, inputs: Any, outputs: Any, **more: Any) -> Any:
    return event(handler, inputs, outputs, **{**_QUIET, **more})
