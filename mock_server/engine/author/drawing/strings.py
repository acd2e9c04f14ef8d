"""Draws strings: words, or text for a pattern or a format."""

from __future__ import annotations

from typing import Any

from mock_server.engine.author.drawing.conjunction import Conjunction
from mock_server.engine.author.drawing.drawer import Drawer
from mock_server.engine.author.drawing.formats import text_of
from mock_server.engine.author.drawing.problems import UndrawableError

WORDS = (
    "amber", "harbour", "meadow", "lantern", "river", "granite", "orchid", "willow", "copper", "summit", "cedar",
    "valley", "marble", "ember", "falcon", "garden", "island", "juniper", "kettle", "linen", "mosaic", "nectar",
)  # fmt: skip
_DRAWS = 12
_LONGEST = 8  # above the least length
# For schemas whose `not` rules out words.
_ALPHABETS = ("0123456789", "ABCDEFGHIJKLMNOPQRSTUVWXYZ", "-_.:/@#+ ", "abcdefghijklmnopqrstuvwxyz", "äöüßéñ河山海")


def draw_string(drawer: Drawer, parts: Conjunction, attempt: int) -> str:
    least, most = parts.at_least("minLength"), parts.at_most("maxLength")
    if most is not None and most < least:
        raise UndrawableError(f"minLength {least} is above maxLength {most}")
    drawer.budget.check_room(least)
    patterns = list(parts.values("pattern"))
    formats = [name for name in parts.values("format") if isinstance(name, str)]
    if "base64" in parts.values("contentEncoding"):
        formats.append("base64")
    found = _formatted(drawer, formats, patterns, least, most) if formats else None
    if found is None and patterns:
        found = _matching(drawer, patterns, least, most)
    if found is None:
        found = _words(drawer, least, most) if attempt < 2 else _characters(drawer, least, most, attempt)
    drawer.budget.write(len(found))
    return found


def _formatted(drawer: Drawer, formats: list[str], patterns: list[Any], least: int, most: int | None) -> str | None:
    """None if no format is known. Patterns take precedence: next to a format they usually describe it."""
    is_known = False
    for _ in range(_DRAWS):
        for name in formats:
            text = text_of(name, drawer.source)
            if text is None:
                continue
            is_known = True
            fits = least <= len(text) and (most is None or len(text) <= most)
            if fits and all(drawer.expressions.matches(pattern, text) for pattern in patterns):
                return text
    if is_known and not patterns:
        lengths = f"at least {least:,}" if most is None else f"{least:,} to {most:,}"
        raise UndrawableError(f"found no text of the format {formats[0][:40]!r} with {lengths} characters")
    return None


def _matching(drawer: Drawer, patterns: list[Any], least: int, most: int | None) -> str:
    """For several patterns: draws from each in turn, or from all in sequence, and checks the result against all."""
    expressions, source = drawer.expressions, drawer.source
    if len(patterns) == 1:
        return expressions.draw(patterns[0], source, least=least, most=most)
    for number in range(_DRAWS * len(patterns)):
        text = expressions.draw(patterns[number % len(patterns)], source, least=least, most=most)
        for candidate in (text, "".join(expressions.draw(pattern, source) for pattern in patterns)):
            fits = least <= len(candidate) and (most is None or len(candidate) <= most)
            if fits and all(expressions.matches(pattern, candidate) for pattern in patterns):
                return candidate
    raise UndrawableError(f"found no text that matches all {len(patterns)} patterns")


def _words(drawer: Drawer, least: int, most: int | None) -> str:
    text = drawer.source.choice(WORDS)
    if len(text) < least:
        words = [text]
        length = len(text)
        while length < least:
            words.append(drawer.source.choice(WORDS))
            length += 1 + len(words[-1])
        drawer.budget.step(len(words) // 8)
        text = " ".join(words)
    return text if most is None else text[:most]


def _characters(drawer: Drawer, least: int, most: int | None, attempt: int) -> str:
    """Characters of one kind; each attempt uses another kind."""
    longest = least + _LONGEST if most is None else min(most, least + _LONGEST)
    length = drawer.source.randint(least, longest)
    drawer.budget.step(1 + length // 64)
    return "".join(drawer.source.choices(_ALPHABETS[attempt % len(_ALPHABETS)], k=length))
