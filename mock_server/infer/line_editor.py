"""How the user types: with editing, history and several lines on a terminal, plainly elsewhere."""

from __future__ import annotations

import contextlib
import os
import sys
from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any, Protocol, TextIO

if TYPE_CHECKING:
    from prompt_toolkit.key_binding import KeyBindings

BLOCK = '"""'
"""Begins and ends a text of several lines."""
_CONTINUED = "... "


class LineEditor(Protocol):
    """Reads what the user types."""

    def read(self, prompt: str) -> str:
        """Raises `EOFError` for Ctrl-D, and `KeyboardInterrupt` for Ctrl-C."""


def without_block(text: str) -> str:
    """The text in a block's marks, or the text itself."""
    marked = text.strip()
    if not marked.startswith(BLOCK):
        return text
    return marked.removeprefix(BLOCK).removesuffix(BLOCK).strip("\n")


def is_open_block(text: str) -> bool:
    """Whether a block has begun and not ended."""
    marked = text.strip()
    return marked.startswith(BLOCK) and (marked == BLOCK or not marked.endswith(BLOCK) or len(marked) < 2 * len(BLOCK))


def history_file(environment: Mapping[str, str]) -> Path:
    """Where the questions of earlier chats are kept, as the XDG base directory specification has it."""
    state = environment.get("XDG_STATE_HOME", "")
    folder = Path(state) if state.startswith("/") else Path.home() / ".local" / "state"
    return folder / "streamgauge" / "infer_history"


class PlainEditor:
    """Without editing, for terminals that only show lines."""

    def __init__(self, show: TextIO) -> None:
        self._show = show

    def read(self, prompt: str) -> str:
        text = self._line(prompt)
        while is_open_block(text):
            text += "\n" + self._line(_CONTINUED)
        return text

    def _line(self, prompt: str) -> str:
        self._show.write(prompt)
        self._show.flush()
        line = sys.stdin.readline()
        if not line:
            raise EOFError
        return line.removesuffix("\n")


def make_editor(out: TextIO, words: Sequence[str], history: Path) -> LineEditor:
    """With prompt_toolkit. `words` are completed by the tabulator key. Raises `ImportError`."""
    from prompt_toolkit import PromptSession
    from prompt_toolkit.auto_suggest import AutoSuggestFromHistory
    from prompt_toolkit.completion import WordCompleter
    from prompt_toolkit.output import create_output

    session: PromptSession[str] = PromptSession(
        history=_history(history),
        auto_suggest=AutoSuggestFromHistory(),
        completer=WordCompleter(list(words), sentence=True),
        complete_while_typing=False,
        multiline=True,
        key_bindings=_keys(),
        prompt_continuation=_CONTINUED,
        output=create_output(stdout=out),
    )
    return _PromptToolkitEditor(session)


class _PromptToolkitEditor:
    def __init__(self, session: Any) -> None:
        self._session = session

    def read(self, prompt: str) -> str:
        return str(self._session.prompt(prompt))


def _keys() -> KeyBindings:
    """Enter sends, unless a block is open; Alt-Enter begins another line."""
    from prompt_toolkit.key_binding import KeyBindings, KeyPressEvent

    keys = KeyBindings()

    @keys.add("enter")
    def _send(event: KeyPressEvent) -> None:
        buffer = event.current_buffer
        if is_open_block(buffer.text):
            buffer.newline(copy_margin=False)
        else:
            buffer.validate_and_handle()

    @keys.add("escape", "enter")
    @keys.add("escape", "c-j")  # what the terminal makes of it when it is typed before the prompt is there
    def _another_line(event: KeyPressEvent) -> None:
        event.current_buffer.newline(copy_margin=False)

    return keys


def _history(file: Path) -> Any:
    """In the file, as far as it can be written."""
    from prompt_toolkit.history import FileHistory

    class KeptHistory(FileHistory):
        """A disk that is full, or a folder that cannot be written, costs the history and not the chat."""

        def load_history_strings(self) -> Iterable[str]:
            try:
                return list(super().load_history_strings())
            except OSError:
                return []

        def store_string(self, string: str) -> None:
            with contextlib.suppress(OSError):
                super().store_string(string)

    with contextlib.suppress(OSError):
        file.parent.mkdir(parents=True, exist_ok=True, mode=0o700)
        os.close(os.open(file, os.O_WRONLY | os.O_CREAT | os.O_APPEND, 0o600))  # others must not read it
    return KeptHistory(str(file))
