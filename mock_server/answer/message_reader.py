"""Separates an assistant's text into thoughts, content and tool calls while it is generated.

Pure: pieces of text go in and parts come out. How the text is split into pieces does not change the sum of the parts.
"""

from __future__ import annotations

import json
from abc import ABC, abstractmethod
from collections.abc import Callable, Iterator
from typing import Any, NamedTuple

from mock_server.answer.call_text import CallText
from mock_server.answer.stop_strings import overlap

NewId = Callable[[], str]

TOOL_FORMATS = ("hermes",)
"""Calls as `<tool_call>{"name": …, "arguments": {…}}</tool_call>`."""
REASONING_FORMATS = ("qwen3", "deepseek_r1")
"""Thoughts before `</think>`. With deepseek_r1, the prompt already contains the opening tag."""


class Content(NamedTuple):
    text: str


class Reasoning(NamedTuple):
    text: str


class CallStart(NamedTuple):
    call: int
    id: str
    name: str


class CallArguments(NamedTuple):
    call: int
    text: str


Part = Content | Reasoning | CallStart | CallArguments


class MessageReader(ABC):
    """Call `push` with each piece of text, then `end`. `num_calls` counts the calls that have begun."""

    num_calls = 0

    @abstractmethod
    def push(self, text: str) -> list[Part]: ...

    @abstractmethod
    def end(self) -> list[Part]: ...


class ContentReader(MessageReader):
    """For an answer that is all content."""

    def push(self, text: str) -> list[Part]:
        return [Content(text)] if text else []

    def end(self) -> list[Part]:
        return []


class _Tag:
    """Text up to a tag. The tag may arrive in pieces."""

    def __init__(self, tag: str) -> None:
        self.tag = tag
        self._held = ""

    def push(self, text: str) -> tuple[str, str | None]:
        """The text before the tag, and once the tag is complete, the text after it."""
        buffer = self.flush() + text
        at = buffer.find(self.tag)
        if at >= 0:
            return buffer[:at], buffer[at + len(self.tag) :]
        border = len(buffer) - overlap(buffer, self.tag)
        self._held = buffer[border:]
        return buffer[:border], None

    def flush(self) -> str:
        held, self._held = self._held, ""
        return held


class ReasoningReader(MessageReader):
    """Reads thoughts at the beginning, if there are any. The reader `rest` gets the text after them."""

    def __init__(self, rest: MessageReader, *, is_open: bool = False, shown: bool = True) -> None:
        """`is_open`: the prompt ends with the opening tag. Not `shown`: thoughts are left out."""
        self._rest = rest
        self._shown = shown
        self._state = "inside" if is_open else "before"
        self._start = ""
        self._end = _Tag("</think>")
        self._strips = True  # line ends around the thoughts belong neither to them nor to the content
        self._line_end = ""  # a line end that may turn out to stand right before the closing tag

    @property
    def num_calls(self) -> int:  # type: ignore[override]
        return self._rest.num_calls

    def push(self, text: str) -> list[Part]:
        if self._state == "before":
            self._start += text
            start = self._start.lstrip()
            if "<think>".startswith(start):  # no text yet, or a part of the tag
                return []
            if not start.startswith("<think>"):
                self._state = "rest"
                return self._rest.push(self._start)
            self._state, text = "inside", start.removeprefix("<think>")
        if self._state == "inside":
            thoughts, after = self._end.push(text)
            parts = self._thoughts(thoughts)
            if after is None:
                return parts
            self._state, self._strips = "ended", True
            return parts + self.push(after)
        if self._state == "ended":
            text = text.lstrip("\n")
            if not text:
                return []
            self._state = "rest"
        return self._rest.push(text)

    def _thoughts(self, text: str) -> list[Part]:
        if self._strips:
            text = text.lstrip("\n")
        if not text:
            return []
        self._strips = False
        shown = (self._line_end + text).removesuffix("\n")
        self._line_end = "\n" if text.endswith("\n") else ""
        return [Reasoning(shown)] if shown and self._shown else []

    def end(self) -> list[Part]:
        parts: list[Part] = []
        if self._state == "before":
            parts = self._rest.push(self._start)
        elif self._state == "inside":
            parts = self._thoughts(self._end.flush())
        return parts + self._rest.end()


class _CallingReader(MessageReader):
    """Numbers calls, and reports each one while it is generated. Calls beyond `most` are left out."""

    def __init__(self, new_id: NewId, most: int | None = None) -> None:
        self._new_id = new_id
        self._most = most
        self._is_shown = True

    def _go_on(self, call: CallText, text: str) -> Iterator[Part]:
        was_known = call.name is not None
        piece = call.push(text)
        if call.name is not None and not was_known:
            yield from self._start(call.name)
        if piece and self._is_shown:
            yield CallArguments(self.num_calls - 1, piece)

    def _start(self, name: str) -> Iterator[Part]:
        self._is_shown = self._most is None or self.num_calls < self._most
        if self._is_shown:
            self.num_calls += 1
            yield CallStart(self.num_calls - 1, self._new_id(), name)

    def _whole(self, name: str, arguments: str) -> Iterator[Part]:
        yield from self._start(name)
        if self._is_shown:
            yield CallArguments(self.num_calls - 1, arguments)


class HermesReader(_CallingReader):
    """Reads content with calls in it. Tagged text that is not a valid call counts as content."""

    def __init__(self, new_id: NewId, *, most: int | None = None) -> None:
        super().__init__(new_id, most)
        self._opening, self._closing = _Tag("<tool_call>"), _Tag("</tool_call>")
        self._call: CallText | None = None
        self._space = ""

    def push(self, text: str) -> list[Part]:
        parts: list[Part] = []
        rest: str | None = text
        while rest is not None:
            if self._call is None:
                before, rest = self._opening.push(rest)
                parts += self._content(before)
                if rest is not None:
                    self._call = CallText("arguments")
            else:
                inside, rest = self._closing.push(rest)
                parts += self._go_on(self._call, inside)
                if rest is not None:
                    parts += self._ended(self._call, self._closing.tag)
        return parts

    def _content(self, text: str) -> list[Part]:
        """White space is content only if something follows it."""
        text = self._space + text
        border = len(text.rstrip())
        self._space = text[border:]
        return [Content(text[:border])] if border else []

    def _ended(self, call: CallText, closing: str) -> list[Part]:
        self._call = None
        parts: list[Part] = []
        if call.name is None:
            written = call.text + (call.rest or "")
            found = _call_of(written, "arguments")
            if found is None:
                return self._content(f"{self._opening.tag}{written}{closing}")
            parts = list(self._whole(*found))
        self._space = ""
        return parts

    def end(self) -> list[Part]:
        if self._call is not None:
            parts = list(self._go_on(self._call, self._closing.flush()))
            return parts + self._ended(self._call, "")
        if held := self._opening.flush():
            return self._content(held)
        return []


class NamedCallReader(MessageReader):
    """For an answer that is the arguments of one function, because the engine was constrained to write them."""

    def __init__(self, name: str, new_id: NewId) -> None:
        self._name = name
        self._new_id = new_id

    def push(self, text: str) -> list[Part]:
        parts: list[Part] = []
        if not self.num_calls:
            self.num_calls = 1
            parts.append(CallStart(0, self._new_id(), self._name))
        if text:
            parts.append(CallArguments(0, text))
        return parts

    def end(self) -> list[Part]:
        return []


class CallListReader(_CallingReader):
    """For an answer that is a JSON array of calls, `{"name": …, "parameters": {…}}`, because the engine was constrained
    to write one.
    """

    def __init__(self, new_id: NewId) -> None:
        super().__init__(new_id)
        self._call: CallText | None = None

    def push(self, text: str) -> list[Part]:
        parts: list[Part] = []
        while text:
            if self._call is None:
                text = text.lstrip("[, \n\t\r")
                if not text:
                    break
                self._call = CallText("parameters")
            parts += self._go_on(self._call, text)
            if self._call.rest is None:
                break
            text = self._call.rest
            parts += self._ended(self._call)
        return parts

    def _ended(self, call: CallText) -> list[Part]:
        self._call = None
        if call.name is not None:
            return []
        found = _call_of(call.text, "parameters")
        return list(self._whole(*found)) if found is not None else [Content(call.text)]

    def end(self) -> list[Part]:
        """Text that was cut off before it became a call is shown unchanged, because it was generated."""
        if self._call is None or self._call.name is not None:
            return []
        rest = self._call.text
        return [Content(rest)] if rest.strip("] \n\t\r") else []


def _call_of(text: str, arguments_key: str) -> tuple[str, str] | None:
    """The name, and the arguments as JSON; None if the text is not a call."""
    try:
        call: Any = json.loads(text)
    except (ValueError, RecursionError):
        return None
    if not isinstance(call, dict) or not isinstance(call.get("name"), str):
        return None
    arguments = call.get(arguments_key, {})
    return call["name"], arguments if isinstance(arguments, str) else json.dumps(arguments, ensure_ascii=False)
