"""Reads CHANGELOG.md, and finds what must change in it before a release."""

from __future__ import annotations

import re
from dataclasses import dataclass
from datetime import date

_HEADING = re.compile(r"^## \[?(?P<name>[^\]\s]+)\]?(?: - (?P<date>.*))?$")


@dataclass(frozen=True)
class Section:
    """What stands under one heading of the second level."""

    name: str
    date: str | None
    entries: tuple[str, ...]
    """The first line of each."""


def sections(text: str) -> list[Section]:
    """All sections in their order, newest first as the file has them."""
    found: list[tuple[str, str | None, list[str]]] = []
    for line in text.splitlines():
        if heading := _HEADING.match(line):
            found.append((heading["name"], heading["date"], []))
        elif found and line.startswith(("- ", "* ")):
            found[-1][2].append(line[2:])
    return [Section(name, day, tuple(entries)) for name, day, entries in found]


def obstacles(text: str, version: str, today: date) -> list[str]:
    """What must change before `version` is released, each with what to do; empty if nothing must."""
    found = sections(text)
    unreleased = [section for section in found if section.name.lower() == "unreleased"]
    releases = [section for section in found if section.name.lower() != "unreleased"]
    waiting = sum(len(section.entries) for section in unreleased)
    heading = f"## [{version}] - {today.isoformat()}"
    problems: list[str] = []
    ours = next((section for section in releases if section.name == version), None)
    if ours is None:
        where = "between Unreleased and its entries" if waiting else "with the entries of this release"
        return [f"CHANGELOG.md has no section for {version}: add the line {heading!r} {where}"]
    if not _is_date(ours.date):
        problems.append(f"the section for {version} must have a date: make its heading {heading!r} (got {ours.date!r})")
    if not ours.entries:
        problems.append(f"the section for {version} has no entries: say what changed")
    if releases[0] is not ours:
        problems.append(f"{releases[0].name} stands above {version}: the newest release must be first")
    if waiting:
        problems.append(
            f"{waiting} entries stand under Unreleased, the first is {unreleased[0].entries[0][:60]!r}: "
            f"a release has all that is committed, so move them to the section for {version}"
        )
    return problems


def _is_date(text: str | None) -> bool:
    try:
        return date.fromisoformat(text or "").isoformat() == text
    except ValueError:
        return False
