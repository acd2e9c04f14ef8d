"""Parses regular expressions in the common part of JSON Schema's dialect (ECMA-262) and Python's."""

from __future__ import annotations

from mock_server.engine.author.drawing.budget import Budget
from mock_server.engine.author.drawing.json_values import shown
from mock_server.engine.author.drawing.problems import UndrawableError
from mock_server.engine.author.drawing.regex_nodes import (
    DIGITS,
    LINE_ENDS,
    SPACE,
    WORD,
    BackReference,
    Border,
    Characters,
    Choice,
    Group,
    Look,
    Node,
    Range,
    Repeat,
    Sequence,
)

_MAX_NESTING = 40
_MAX_CODE_POINT = 0x10FFFF
_CHARACTERS_A_STEP = 4
_ESCAPED = {"n": "\n", "r": "\r", "t": "\t", "f": "\f", "v": "\v", "a": "\a", "e": "\x1b", "0": "\0"}
_CATEGORIES = frozenset((
    "L", "Lu", "Ll", "Lt", "Lm", "Lo", "M", "Mn", "Mc", "Me", "N", "Nd", "Nl", "No", "P", "Pc", "Pd", "Ps", "Pe", "Pi",
    "Pf", "Po", "S", "Sm", "Sc", "Sk", "So", "Z", "Zs", "Zl", "Zp",
))  # fmt: skip
_CLASSES = {"d": DIGITS, "w": WORD, "s": SPACE}


def parse(pattern: str, budget: Budget) -> Node:
    """Raises `UndrawableError` for an invalid expression, and for forms that are not supported."""
    budget.step(1 + len(pattern) // _CHARACTERS_A_STEP)
    return _Parser(pattern).parse()


class _Parser:
    def __init__(self, pattern: str) -> None:
        self._pattern = pattern
        self._at = 0
        self._depth = 0
        self._groups = 0
        self._closed: set[int] = set()
        self._names: dict[str, int] = {}
        self._flags = ""
        self._literals: dict[tuple[str, bool], Characters] = {}
        """One shared node for each. A long text would create tens of thousands, which slow down garbage collection."""

    def parse(self) -> Node:
        found = self._choice()
        if self._at < len(self._pattern):
            raise self._wrong("a closing parenthesis has no opening one")
        return found

    def _wrong(self, why: str) -> UndrawableError:
        return UndrawableError(
            f"{shown(self._pattern)} is not a valid regular expression: {why} (at position {self._at})"
        )

    def _unknown(self, what: str) -> UndrawableError:
        return UndrawableError(
            f"the simulated engine does not support {what}, used in the pattern {shown(self._pattern)}"
        )

    def _peek(self, text: str) -> bool:
        return self._pattern.startswith(text, self._at)

    def _take(self, text: str) -> bool:
        found = self._peek(text)
        if found:
            self._at += len(text)
        return found

    def _next(self) -> str:
        if self._at >= len(self._pattern):
            raise self._wrong("it is incomplete")
        character = self._pattern[self._at]
        self._at += 1
        return character

    def _choice(self) -> Node:
        branches = [self._sequence()]
        while self._take("|"):
            branches.append(self._sequence())
        return branches[0] if len(branches) == 1 else Choice(tuple(branches))

    def _sequence(self) -> Node:
        parts: list[Node] = []
        while self._at < len(self._pattern) and not self._peek("|") and not self._peek(")"):
            part = self._atom()
            if part is not None:
                parts.append(self._repeated(part))
        return parts[0] if len(parts) == 1 else Sequence(tuple(parts))

    def _repeated(self, part: Node) -> Node:
        times = self._times()
        if times is None:
            return part
        least, most = times
        if most is not None and most < least:
            raise self._wrong("the maximum number of repetitions is below the minimum")
        self._take("?")
        if self._take("+"):
            raise self._unknown("possessive repetitions")
        if self._times() is not None:
            raise self._wrong("a repetition follows another one")
        return Repeat(part, least, most)

    def _times(self) -> tuple[int, int | None] | None:
        for sign, times in (("*", (0, None)), ("+", (1, None)), ("?", (0, 1))):
            if self._take(sign):
                return times
        if not self._peek("{"):
            return None
        end = self._pattern.find("}", self._at, self._at + 24)
        least, comma, most = self._pattern[self._at + 1 : max(end, self._at + 1)].partition(",")
        if end < 0 or not _is_number(least or "0") or not _is_number(most or "0") or not (least or (comma and most)):
            return None  # a literal brace
        self._at = end + 1
        return int(least or 0), (int(most) if most else None) if comma else int(least)

    def _atom(self) -> Node | None:
        character = self._next()
        match character:
            case "(":
                return self._group()
            case "[":
                return self._set()
            case ".":
                return Characters(() if "s" in self._flags else LINE_ENDS, negated=True)
            case "^":
                return Border("line start" if "m" in self._flags else "start")
            case "$":
                return Border("line end" if "m" in self._flags else "end")
            case "\\":
                return self._escape()
            case "*" | "+" | "?":
                self._at -= 1
                raise self._wrong("there is nothing to repeat")
        return self._one(character)

    def _one(self, character: str) -> Characters:
        ignores_case = "i" in self._flags
        found = self._literals.get((character, ignores_case))
        if found is None:
            found = Characters(((ord(character), ord(character)),), ignores_case=ignores_case)
            self._literals[character, ignores_case] = found
        return found

    def _group(self) -> Node | None:
        self._depth += 1
        if self._depth > _MAX_NESTING:
            raise self._unknown(f"groups nested more than {_MAX_NESTING} levels deep")
        flags = self._flags
        look: tuple[bool, bool] | None = None
        number = None
        if not self._take("?"):
            number = self._numbered()
        elif self._take("<=") or self._take("<!"):
            look = (self._pattern[self._at - 1] == "!", True)
        elif self._take("=") or self._take("!"):
            look = (self._pattern[self._at - 1] == "!", False)
        elif self._take("P<") or self._take("<"):
            number = self._numbered()
            self._names[self._until(">")] = number
        elif self._take("P="):
            name = self._until(")")
            self._depth -= 1
            return self._reference(self._names.get(name), name)
        elif self._take("#"):
            self._until(")")
            self._depth -= 1
            return None
        elif not self._take(":") and not self._set_flags():
            self._depth -= 1
            return None
        part = self._choice()
        if not self._take(")"):
            raise self._wrong("a parenthesis is not closed")
        self._depth -= 1
        self._flags = flags
        if look is not None:
            return Look(part, *look)
        if number is None:
            return part
        self._closed.add(number)
        return Group(part, number)

    def _numbered(self) -> int:
        self._groups += 1
        return self._groups

    def _set_flags(self) -> bool:
        """Reads flags for the rest of the enclosing group. True if they belong to a group of their own."""
        while (flag := self._next()) in "aimsuL":
            self._flags += flag
        if flag == "-":
            while (flag := self._next()) in "ims":
                self._flags = self._flags.replace(flag, "")
        if flag not in ":)":
            raise self._unknown(f"the form (?{flag}")
        return flag == ":"

    def _until(self, end: str) -> str:
        stop = self._pattern.find(end, self._at)
        if stop < 0:
            raise self._wrong(f"{end!r} is missing")
        found = self._pattern[self._at : stop]
        self._at = stop + 1
        return found

    def _reference(self, number: int | None, name: str) -> BackReference:
        if number is None or number not in self._closed:
            raise self._wrong(f"no group {name[:40]!r} ends before the reference to it")
        return BackReference(number)

    def _escape(self) -> Node:
        """Reads an escape outside a character class."""
        character = self._next()
        match character:
            case "b" | "B":
                return Border("word" if character == "b" else "no word")
            case "A":
                return Border("start")
            case "Z" | "z":
                return Border("end")
            case "k" if self._take("<"):
                name = self._until(">")
                return self._reference(self._names.get(name), name)
        if character in "123456789":
            start = self._at - 1
            while self._at < len(self._pattern) and self._pattern[self._at].isdecimal():
                self._at += 1
            digits = self._pattern[start : self._at]
            return self._reference(int(digits[:9]), digits)
        self._at -= 1
        return self._escaped_characters()

    def _escaped_characters(self) -> Characters:
        character = self._next()
        ignores_case = "i" in self._flags
        if (ranges := _CLASSES.get(character.lower())) is not None:
            return Characters(ranges, negated=character.isupper())
        if character in "pP":
            return Characters((), categories=((self._category(), character == "P"),))
        code = self._code(character)
        return Characters(((code, code),), ignores_case=ignores_case)

    def _code(self, character: str) -> int:
        """The code point for an escape that begins with this character."""
        if character in "xuU":
            if self._take("{"):
                return self._hexadecimal(self._until("}"), least=1)
            length = {"x": 2, "u": 4, "U": 8}[character]
            digits = self._pattern[self._at : self._at + length]
            self._at += len(digits)
            return self._hexadecimal(digits, least=length)
        if character == "c":
            return ord(self._next().upper()) & 0x1F
        if character in _ESCAPED:
            return ord(_ESCAPED[character])
        if character.isascii() and character.isalnum():
            self._at -= 1
            raise self._wrong(f"\\{character} has no meaning")
        return ord(character)

    def _hexadecimal(self, digits: str, least: int) -> int:
        if len(digits) < least or not digits or any(digit not in "0123456789abcdefABCDEF" for digit in digits):
            raise self._wrong(f"{digits[:12]!r} is not a code point")
        code = int(digits, 16)
        if 0xD800 <= code < 0xDC00 and self._peek("\\u"):  # the first half of a pair
            low = self._pattern[self._at + 2 : self._at + 6]
            if len(low) == 4 and low[:2].lower() in ("dc", "dd", "de", "df"):
                self._at += 6
                return 0x10000 + ((code - 0xD800) << 10) + (self._hexadecimal(low, 4) - 0xDC00)
        if code > _MAX_CODE_POINT:
            raise self._wrong(f"{digits[:12]!r} is not a code point")
        return code

    def _category(self) -> str:
        name = self._until("}") if self._take("{") else self._next()
        name = {"Letter": "L", "Number": "N", "Punctuation": "P", "Symbol": "S", "Separator": "Z", "Mark": "M",
                "Uppercase_Letter": "Lu", "Lowercase_Letter": "Ll"}.get(name, name)  # fmt: skip
        name = name.removeprefix("gc=").removeprefix("General_Category=")
        if name not in _CATEGORIES:
            raise self._unknown(
                f"the Unicode class \\p{{{name[:40]}}} (it supports general categories such as L, Lu, N, P)"
            )
        return name

    def _set(self) -> Characters:
        negated = self._take("^")
        ranges: list[Range] = []
        categories: list[tuple[str, bool]] = []
        is_first = True
        while is_first or not self._peek("]"):
            if is_first and self._peek("]") and self._pattern.find("]", self._at + 1) < 0:
                break  # ECMA's empty class, which Python does not have
            is_first = False
            low = self._member()
            categories += low.categories
            if low.negated:
                ranges += _complement(low.ranges)
                continue
            if (
                self._peek("-")
                and not self._peek("-]")
                and len(low.ranges) == 1
                and low.ranges[0][0] == low.ranges[0][1]
            ):
                self._at += 1
                high = self._member()
                if len(high.ranges) != 1 or high.negated or high.ranges[0][0] < low.ranges[0][0]:
                    raise self._wrong("a range ends before it begins")
                ranges.append((low.ranges[0][0], high.ranges[0][1]))
            else:
                ranges += low.ranges
        self._at += 1
        return Characters(tuple(ranges), negated, tuple(categories), "i" in self._flags)

    def _member(self) -> Characters:
        character = self._next()
        if character != "\\":
            return Characters(((ord(character), ord(character)),))
        if self._take("b"):
            return Characters(((0x08, 0x08),))
        return self._escaped_characters()


def _complement(ranges: tuple[Range, ...]) -> list[Range]:
    found, start = [], 0
    for low, high in sorted(ranges):
        if low > start:
            found.append((start, low - 1))
        start = max(start, high + 1)
    return [*found, (start, _MAX_CODE_POINT)] if start <= _MAX_CODE_POINT else found


def _is_number(text: str) -> bool:
    return text.isascii() and text.isdecimal() and len(text) <= 9
