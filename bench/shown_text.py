"""Text that others wrote, made fit to be shown: one line of bounded length, nothing in it that a terminal obeys. Pure.

Model ids, messages, headers, finish reasons and result files may hold anything. What is not printable is replaced by
its escape (`\\x1b`, `\\n`, `\\u202e`), so that the reader sees that it was there.
"""

from __future__ import annotations

import re
import unicodedata
from typing import Any, TypeVar

import msgspec

from streamgauge.hidden_characters import BLANK, escaped, without_piles

MOST_CHARACTERS = 2000
_MOST_IN_STRUCTS = 10_000  # commands may be long
_FILE_NAME_BYTES = 100
_NOT_ASCII = re.compile(r"[^\n\x20-\x7e]")
_UNFIT_FOR_NAMES = re.compile(r"[^\w.+=@ -]")

Shown = TypeVar("Shown", bound=msgspec.Struct)


def shown(text: str, most: int = MOST_CHARACTERS) -> str:
    """The text on one line of at most `most` characters; text that is fit to be shown already stays as it is."""
    line = text[:most]
    if not line.isprintable() or not BLANK.isdisjoint(line):
        line = "".join(map(_visible, line))
    line = without_piles(line)
    return line if len(line) <= most and len(text) <= most else line[: most - 1] + "…"


def shown_struct(content: Shown) -> Shown:
    """A copy, in which every text is as `shown` has it."""
    return msgspec.convert(_shown_within(msgspec.to_builtins(content)), type(content))


def escaped_json(text: str) -> str:
    """The same JSON, with escapes for characters that are not printable: JSON itself asks for those of C0 alone."""
    return text if text.isascii() and "\x7f" not in text else _NOT_ASCII.sub(_json_escape, text)


def file_name_part(text: str) -> str:
    """The text as a part of a file's name: no separators, nothing that a file system refuses, not too long."""
    name = _UNFIT_FOR_NAMES.sub("_", text).strip(" .") or "_"
    return name.encode("utf-8", "replace")[:_FILE_NAME_BYTES].decode("utf-8", "ignore")


def _visible(character: str) -> str:
    if character.isprintable() and character not in BLANK:
        return character
    if unicodedata.category(character) == "Zs":
        return " "
    return escaped(character)


def _shown_within(content: Any) -> Any:
    if isinstance(content, str):
        return shown(content, _MOST_IN_STRUCTS)
    if isinstance(content, dict):
        return {_shown_within(key): _shown_within(value) for key, value in content.items()}
    if isinstance(content, list | tuple):
        return [_shown_within(item) for item in content]
    return content


def _json_escape(found: re.Match[str]) -> str:
    character = found[0]
    if character.isprintable() and character not in BLANK:
        return character
    code = ord(character)
    if code <= 0xFFFF:
        return f"\\u{code:04x}"
    high, low = divmod(code - 0x10000, 0x400)
    return f"\\u{0xD800 + high:04x}\\u{0xDC00 + low:04x}"
