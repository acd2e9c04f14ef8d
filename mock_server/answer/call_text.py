"""The text of one function call, `{"name": …, "arguments": {…}}`, read piece by piece as it is generated."""

from __future__ import annotations

import json
import re


class CallText:
    """Each push takes a piece of the text and returns the part of the arguments that it contains.

    `name` is known once the arguments begin. It stays None for a call whose keys have another order or whose arguments
    are not an object: such a call can only be read from the whole `text`, at the end.
    """

    def __init__(self, arguments_key: str) -> None:
        self._before_arguments = re.compile(
            rf'\s*\{{\s*"name"\s*:\s*("(?:[^"\\]|\\.)+")\s*,\s*"{arguments_key}"\s*:\s*'
        )
        self.text = ""
        self.rest: str | None = None
        """The text after the call; None until the call has ended."""
        self.name: str | None = None
        self._depth = 0
        self._has_nested = self._is_inside = self._in_string = self._is_escaped = False

    def push(self, text: str) -> str:
        if self.rest is not None:
            self.rest += text
            return ""
        start, end = 0, len(text) if self._is_inside else 0
        for at, character in enumerate(text):
            if self._in_string:
                self._read_in_string(character)
            elif character == '"':
                self._in_string = True
            elif character == "{":
                self._depth += 1
                if self._depth == 2 and self._begin(text[:at]):
                    start, end = at, len(text)
            elif character == "}":
                self._depth -= 1
                if self._depth == 1 and self._is_inside:
                    self._is_inside = False
                    end = at + 1
                elif self._depth == 0:
                    self.rest = text[at + 1 :]
                    self.text += text[: at + 1]
                    return text[start:end]
        self.text += text
        return text[start:end]

    def _read_in_string(self, character: str) -> None:
        if self._is_escaped:
            self._is_escaped = False
        elif character == "\\":
            self._is_escaped = True
        elif character == '"':
            self._in_string = False

    def _begin(self, before: str) -> bool:
        """Whether the first object within the call is the arguments of a function whose name came before."""
        if self._has_nested:
            return False
        self._has_nested = True
        found = self._before_arguments.fullmatch(self.text + before)
        self.name = _string(found[1]) if found is not None else None
        self._is_inside = self.name is not None
        return self._is_inside


def _string(written: str) -> str | None:
    try:
        return str(json.loads(written))
    except ValueError:
        return None
