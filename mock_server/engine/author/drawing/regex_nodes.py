"""Regular expressions as trees."""

from __future__ import annotations

import unicodedata
from dataclasses import dataclass
from functools import cached_property
from typing import Literal

Range = tuple[int, int]


@dataclass(frozen=True, eq=False)
class Characters:
    """One character in these ranges or Unicode categories; with `negated`, in none of them."""

    ranges: tuple[Range, ...]
    negated: bool = False
    categories: tuple[tuple[str, bool], ...] = ()
    """Each with True if it stands for the characters outside the category."""
    ignores_case: bool = False

    @cached_property
    def _known(self) -> dict[str, bool]:
        return {}

    def contains(self, character: str) -> bool:
        found = self._known.get(character)
        if found is None:
            forms = {character}
            if self.ignores_case:
                forms |= {form for form in (character.lower(), character.upper()) if len(form) == 1}
            found = self._known[character] = any(map(self._lists, forms)) != self.negated
        return found

    def _lists(self, character: str) -> bool:
        code = ord(character)
        if any(low <= code <= high for low, high in self.ranges):
            return True
        if not self.categories:
            return False
        category = unicodedata.category(character)
        return any(category.startswith(name) != outside for name, outside in self.categories)


@dataclass(frozen=True, eq=False, slots=True)
class Sequence:
    parts: tuple[Node, ...]


@dataclass(frozen=True, eq=False, slots=True)
class Choice:
    branches: tuple[Node, ...]


@dataclass(frozen=True, eq=False, slots=True)
class Repeat:
    """`most` is None if there is no upper limit."""

    part: Node
    least: int
    most: int | None


@dataclass(frozen=True, eq=False, slots=True)
class Group:
    part: Node
    number: int


@dataclass(frozen=True, eq=False, slots=True)
class Border:
    """A position: the start or end of the text or of a line, or a word boundary (or none)."""

    kind: Literal["start", "end", "line start", "line end", "word", "no word"]


@dataclass(frozen=True, eq=False, slots=True)
class Look:
    """A look-ahead, or with `behind` a look-behind; negative with `negated`."""

    part: Node
    negated: bool
    behind: bool


@dataclass(frozen=True, eq=False, slots=True)
class BackReference:
    number: int


Node = Characters | Sequence | Choice | Repeat | Group | Border | Look | BackReference

DIGITS: tuple[Range, ...] = ((0x30, 0x39),)
WORD: tuple[Range, ...] = (*DIGITS, (0x41, 0x5A), (0x5F, 0x5F), (0x61, 0x7A))
SPACE: tuple[Range, ...] = ((0x09, 0x0D), (0x20, 0x20), (0xA0, 0xA0), (0x1680, 0x1680), (0x2000, 0x200A),
                            (0x2028, 0x2029), (0x202F, 0x202F), (0x205F, 0x205F), (0x3000, 0x3000),
                            (0xFEFF, 0xFEFF))  # fmt: skip
LINE_ENDS: tuple[Range, ...] = ((0x0A, 0x0A), (0x0D, 0x0D), (0x2028, 0x2029))
