"""What happens on the page: each method handles one of its events and returns the updates of components."""

from __future__ import annotations

import time
from collections.abc import AsyncIterator, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any

import gradio as gr

from mock_server.chat_page.answering import Answering, Request
from mock_server.chat_page.backend import Backend, choices, chosen
from mock_server.chat_page.conversation import Conversation, Turn, load_conversation
from mock_server.chat_page.layout import Page
from mock_server.chat_page.sampling import FIELDS, SamplingError, request_fields
from mock_server.chat_page.shown import Shown, shown, turn_of
from mock_server.chat_page.texts import Words, language_of, words_of
from sdk import SDKError

_SAVE_S = 2.0
"""How often a conversation is saved while an answer arrives."""
Updates = dict[Any, Any]


@dataclass(frozen=True, slots=True)
class Form:
    """What the page sends with each question, read from the values of its components."""

    conversation: Conversation
    words: Words
    model: str
    sampling: Sequence[object]

    @classmethod
    def read(cls, values: Sequence[object]) -> Form:
        """Conversation, language, model, system prompt, then the sampling settings."""
        stored, language, model, system, *sampling = values
        return cls(_conversation(stored).under(str(system or "")), words_of(language), str(model or ""), sampling)


def merged(*all_updates: Updates) -> Updates:
    """Updates of the same component together; a later one wins. A value alone is an update of the value."""
    found: Updates = {}
    for updates in all_updates:
        for component, given in updates.items():
            is_update = isinstance(given, dict) and given.get("__type__") == "update"
            found[component] = {**found.get(component, {}), **(given if is_update else gr.update(value=given))}
    return found


class Handlers:
    """Of all browsers. A session is one tab of a browser; it has one answer under way at most."""

    def __init__(self, page: Page, backend: Backend) -> None:
        self._page = page
        self._backend = backend
        self._answering: dict[str, Answering] = {}

    async def boot(self, found: object) -> Updates:
        """The page is loaded; `found` is what the browser knows."""
        page = self._page
        browser = _mapping(found)
        settings = _mapping(browser.get("settings"))
        language = language_of(browser.get("language"))
        words = words_of(language)
        conversation = _conversation(browser.get("conversation"))
        model = await self._reloaded(settings.get("model"), words)
        is_chat = self._backend.is_chat(model[page.model]["value"])
        system = conversation.system if conversation.turns else settings.get("system", self._backend.endpoint.system)
        given = settings.get("sampling")
        sampling = given if isinstance(given, list) and len(given) == len(FIELDS) else [None] * len(FIELDS)
        values = {
            page.system: system if isinstance(system, str) else "",
            page.language: language,
            page.appearance: _appearance(settings.get("appearance")),
            page.chats: gr.update(open=bool(browser.get("isWide"))),
            **dict(zip(page.sampling, sampling, strict=True)),
        }
        chats = self.list_chats(browser.get("index"), conversation.dump(), language)
        return merged(page.labels(words, is_chat), chats, model, self._view(conversation, words), values)

    def list_chats(self, index: object, stored: object, language: object) -> Updates:
        """The browser's conversations have changed."""
        page, words = self._page, words_of(language)
        chats = [_mapping(chat) for chat in _mapping(index).get("chats") or []]
        names = [(str(chat.get("title") or "…"), str(chat.get("id"))) for chat in chats]
        current = _conversation(stored).id
        is_full = bool(_mapping(index).get("full"))
        return {
            page.history: gr.update(choices=names, value=current if current in dict(names).values() else None),
            page.notice: gr.update(value=words.storage_full, visible=is_full),
        }

    async def open(self, request: gr.Request, stored: object, language: object, index: object, *_: object) -> Updates:
        """Another conversation is chosen, or a new one begun; None: neither, after all."""
        if stored is None:
            return {self._page.index: index}  # without any update, the page would be emptied
        if (answering := self._answering.get(_session(request))) is not None:
            await answering.leave()
        page, conversation = self._page, _conversation(stored)
        system = {page.system: conversation.system} if conversation.turns else {}
        history = {page.history: conversation.id if conversation.turns else None}
        return {**self._view(conversation, words_of(language)), page.index: index, **history, **system}

    async def reload_models(self, model: object, language: object) -> Updates:
        words = words_of(language)
        updates = await self._reloaded(model, words)
        return merged(updates, self._page.mode(words, self._backend.is_chat(updates[self._page.model]["value"])))

    def choose_model(self, model: str | None, language: object) -> Updates:
        return self._page.mode(words_of(language), self._backend.is_chat(model))

    def choose_language(self, language: object, model: str | None, stored: object) -> Updates:
        words = words_of(language)
        view = self._view(_conversation(stored), words)
        return merged(self._page.labels(words, self._backend.is_chat(model)), view)

    async def ask(self, request: gr.Request, text: str, *form: object) -> AsyncIterator[Updates]:
        """A question is sent; `form` are the values of `Form`."""
        asked = Form.read(form)
        if not text.strip():
            yield gr.skip()  # without any update, the page would be emptied
            return
        async for updates in self._answer(asked.conversation.asked(text), asked, request, {self._page.box: ""}):
            yield updates

    async def ask_again(self, request: gr.Request, data: gr.RetryData, *form: object) -> AsyncIterator[Updates]:
        """The question of a turn is to be answered once more."""
        asked = Form.read(form)
        async for updates in self._answer(_again(asked, data.index), asked, request):
            yield updates

    async def edit(self, request: gr.Request, data: gr.EditData, *form: object) -> AsyncIterator[Updates]:
        """The question of a turn has been changed."""
        asked = Form.read(form)
        async for updates in self._answer(_again(asked, data.index, str(data.value)), asked, request):
            yield updates

    async def stop(self, request: gr.Request) -> None:
        """Ends the session's answer, if one is under way. Not a plain function: Gradio would call that in a thread."""
        if (answering := self._answering.get(_session(request))) is not None:
            answering.stop()

    async def _answer(
        self, conversation: Conversation, form: Form, request: gr.Request, sent: Updates | None = None
    ) -> AsyncIterator[Updates]:
        """Answers the last question; `sent` are updates for when it is sent."""
        page, words, session = self._page, form.words, _session(request)
        if session in self._answering:
            gr.Info(words.busy)
            yield gr.skip()
            return
        try:
            fields = {**self._backend.endpoint.request_fields, **request_fields(form.sampling, words)}
        except SamplingError as error:
            gr.Warning(str(error))
            yield gr.skip()
            return
        asked = Request(conversation, form.model, self._backend.is_chat(form.model), fields)
        answering = self._answering[session] = Answering(self._backend.client, asked)
        try:
            view = self._view(conversation, words, is_arriving=True)
            busy = {page.box: gr.update(submit_btn=False, stop_btn=True)}
            yield merged(view, {page.draft: conversation.dump()}, busy, sent or {})
            saved_at = time.monotonic()
            async for turn in answering.snapshots():
                conversation = conversation.answered(self._explained(turn))
                updates = self._view(conversation, words, is_arriving=not turn.ending)
                if turn.ending or time.monotonic() - saved_at > _SAVE_S:
                    saved_at = time.monotonic()
                    updates[page.draft] = conversation.dump()
                else:
                    del updates[page.current]
                if turn.ending:
                    updates[page.box] = gr.update(submit_btn=True, stop_btn=False)
                if answering.is_left:  # Gradio sends the last updates once more, perhaps after those of `open`
                    del updates[page.chatbot]
                    updates.pop(page.current, None)
                yield updates
        finally:
            del self._answering[session]

    def _explained(self, turn: Turn) -> Turn:
        """With the reason why the model in this process has died, if that is why there is no answer."""
        if turn.ending == "failed":
            try:
                self._backend.endpoint.check()
            except Exception as error:  # whatever the engine died of
                return replace(turn, error=str(error))
        return turn

    def _view(self, conversation: Conversation, words: Words, *, is_arriving: bool = False) -> Updates:
        return {
            self._page.chatbot: messages(shown(conversation, words, is_arriving=is_arriving), words),
            self._page.current: conversation.dump(),
        }

    async def _reloaded(self, wanted: object, words: Words) -> Updates:
        """The list of models; with a notice, the old one, if the server does not answer."""
        page = self._page
        try:
            cards = await self._backend.load_models()
        except SDKError as error:
            notice = gr.update(value=f"{words.no_models} {error.message}", visible=True)
            return {page.model: gr.update(value=wanted or self._backend.endpoint.model), page.notice: notice}
        model = gr.update(choices=choices(cards), value=chosen(cards, wanted, self._backend.endpoint.model))
        return {page.model: model, page.notice: gr.update(visible=False)}


def messages(items: Sequence[Shown], words: Words) -> list[dict[str, Any]]:
    """In the form of `gr.Chatbot`."""
    return [_message(item, words) for item in items]


def _message(item: Shown, words: Words) -> dict[str, Any]:
    role = "user" if item.kind == "question" else "assistant"
    if item.kind == "thoughts":
        return {"role": role, "content": item.text, "metadata": {"title": words.thoughts, "status": "done"}}
    if item.is_html:  # as a title without content, which copying an answer leaves out
        return {"role": role, "content": "", "metadata": {"title": item.html}}
    return {"role": role, "content": item.text}


def _again(form: Form, index: int | tuple[int, int], question: str | None = None) -> Conversation:
    messages = shown(form.conversation, form.words)
    number = turn_of(messages, index if isinstance(index, int) else index[0])
    return form.conversation if number is None else form.conversation.asked_again(number, question)


def _conversation(stored: object) -> Conversation:
    return load_conversation(stored) or Conversation("")


def _mapping(value: object) -> Mapping[str, Any]:
    return value if isinstance(value, Mapping) else {}


def _appearance(value: object) -> str:
    return value if value in ("light", "dark") else "system"


def _session(request: gr.Request) -> str:
    return str(request.session_hash)
