"""Options of click commands under headings, and the forms in which options may be written. Needs click.

`-` and `_` are alike in the name of an option, and an option that takes several values takes them in a row.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import click


def dashed(name: str) -> str:
    """An option's or command's name with dashes for underscores."""
    return name.replace("_", "-")


CONTEXT = {"token_normalize_func": dashed, "help_option_names": ["-h", "--help"], "max_content_width": 112}


class SectionedOption(click.Option):
    """An option that knows the heading it stands under."""

    def __init__(self, *args: Any, section: str, **attributes: Any) -> None:
        super().__init__(*args, **attributes)
        self.section = section


def write_sections(
    command: click.Command, ctx: click.Context, formatter: click.HelpFormatter, *, name_width: int
) -> None:
    """Write a command's options by section, in the order in which they were declared; the rest stands under Help."""
    sections: dict[str, list[tuple[str, str]]] = {}
    for param in command.get_params(ctx):
        record = None if isinstance(param, click.Argument) else param.get_help_record(ctx)
        if record is not None:
            sections.setdefault(getattr(param, "section", "Help"), []).append(record)
    for title, records in sections.items():
        with formatter.section(title):
            formatter.write_dl(records, col_max=name_width)


def repeat_options(words: Sequence[str], several: Mapping[str, str | None]) -> list[str]:
    """`--x a b` as `--x a --x b` for the options in `several`.

    `several` has the characters of which each further value must contain one, or None if any word will do. They tell a
    value from an argument of the command.
    """
    expanded: list[str] = []
    option, has_value = "", False  # the option that words belong to, and whether its first value was there
    for word in words:
        marks = several.get(option)
        if option and not has_value:
            has_value = True
        elif option and not word.startswith("-") and (marks is None or set(word) & set(marks)):
            expanded.append(option)
        else:
            name, equals, _ = word.partition("=")
            option = dashed(name) if dashed(name) in several else ""
            has_value = bool(equals)
        expanded.append(word)
    return expanded
