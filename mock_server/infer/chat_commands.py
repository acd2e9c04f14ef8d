"""The commands of a chat: what the user types after `/`. Pure."""

from __future__ import annotations

import textwrap
from typing import NamedTuple

from streamgauge.nearest import did_you_mean

MARK = "/"
COMMANDS = {
    "help": ("", "show this list"),
    "clear": ("", "begin a new conversation; the system message stays"),
    "system": ("[TEXT|off]", "set, remove or show the system message, from the next question on"),
    "set": (
        "[NAME=VALUE …]",
        "change settings, as in /set temperature=0.7 max_tokens=200; seed=default takes one back",
    ),
    "model": ("[NAME]", "talk to another model or adapter, or list them"),
    "retry": ("", "ask the last question again and forget its answer"),
    "save": ("FILE", "add the conversation to a file, as a line that a dataset can have"),
    "load": ("FILE", "continue the last conversation of such a file"),
    "exit": ("", "end; so does Ctrl-D"),
}
KEYS = {
    "Enter": "send",
    "Alt-Enter": "begin another line; pasted lines stay together",
    '"""': 'begin a text of several lines, which another """ ends',
    "Up, Ctrl-R": "find earlier questions",
    "Ctrl-C": "stop the answer; what was written of it stays in the conversation",
    "//": "at the beginning: send a text that begins with /",
}
_OTHER_NAMES = {"quit": "exit", "bye": "exit", "reset": "clear", "new": "clear", "?": "help"}
_NAME_WIDTH = 24


class CommandError(ValueError):
    """Not a command, or not one that can be followed. One line with the remedy."""


class Command(NamedTuple):
    """`rest` is what stands after the name."""

    name: str
    rest: str = ""


def read_input(text: str) -> Command | str:
    """A command, or a question. Raises `CommandError`."""
    if not text.startswith(MARK):
        return text
    if text.startswith(2 * MARK):
        return text.removeprefix(MARK)
    said, _, rest = text.removeprefix(MARK).partition(" ")
    said, rest = said.strip(), rest.strip()
    name = _OTHER_NAMES.get(said.lower(), said.lower())
    if name not in COMMANDS:
        hint = did_you_mean(name, COMMANDS).replace("mean ", f"mean {MARK}") or f" {MARK}help lists them."
        raise CommandError(f"{MARK}{said} is not a command.{hint}")
    arguments = COMMANDS[name][0]
    if rest and not arguments:
        raise CommandError(f"{MARK}{name} takes nothing after it")
    if not rest and arguments and not arguments.startswith("["):
        raise CommandError(f"{MARK}{name} needs a {arguments.lower()}: write {MARK}{name} {arguments}")
    return Command(name, rest)


def help_text(width: int) -> str:
    """The commands and the keys, in lines of at most this many columns."""
    commands = {f"{MARK}{name} {arguments}".strip(): what for name, (arguments, what) in COMMANDS.items()}
    return "\n\n".join("\n".join(_entry(name, what, width) for name, what in part.items()) for part in (commands, KEYS))


def _entry(name: str, what: str, width: int) -> str:
    return textwrap.fill(
        f"  {name:<{_NAME_WIDTH - 2}}{what}", max(width, 2 * _NAME_WIDTH), subsequent_indent=" " * _NAME_WIDTH
    )
