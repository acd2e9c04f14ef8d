"""The command that repeats a run. Secrets are left out, or hidden where the user has to fill them in."""

from __future__ import annotations

import shlex
from collections.abc import Callable, Sequence

from bench.cli.option_sections import SEVERAL_VALUES
from bench.headers import HIDDEN, hide_value
from streamgauge.option_sections import dashed, repeat_options

_KEY = "--api-key"


def again_line(program: str, arguments: Sequence[str], seed: int) -> str:
    """The typed command without the key and with the seed; values of headers are hidden."""
    kept: list[str] = []
    option = ""  # whose value comes next
    seeded = False
    for argument in repeat_options(arguments, SEVERAL_VALUES):
        if option:
            kept += [] if option == _KEY else [_HIDE[option](argument)]
            option = ""
            continue
        typed, equals, value = argument.partition("=")
        name = dashed(typed)
        seeded = seeded or name == "--seed"
        if name == _KEY:
            option = "" if equals else name
        elif name not in _HIDE:
            kept.append(argument)
        elif equals:
            kept.append(f"{name}={_HIDE[name](value)}")
        else:
            option = name
            kept.append(name)
    return f"{program} {shlex.join([*kept, *([] if seeded else ['--seed', str(seed)])])}"


def hide_server_keys(text: str) -> str:
    """Options of the embedded server, with its keys hidden."""
    try:
        words = shlex.split(text)
    except ValueError:
        return HIDDEN
    hidden: list[str] = []
    follows_key = False
    for word in words:
        name, equals, _ = word.partition("=")
        if word.startswith("-"):
            follows_key = dashed(name) == _KEY
            hidden.append(f"{name}={HIDDEN}" if follows_key and equals else word)
        else:
            hidden.append(HIDDEN if follows_key else word)
    return shlex.join(hidden)


_HIDE: dict[str, Callable[[str], str]] = {"--header": hide_value, "--server-args": hide_server_keys}
