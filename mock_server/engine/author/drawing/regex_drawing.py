"""Draws text that an expression describes, of a given length if required."""

from __future__ import annotations

import random
from collections.abc import Iterator

from mock_server.engine.author.drawing.budget import Budget
from mock_server.engine.author.drawing.problems import NoTextError, UndrawableError
from mock_server.engine.author.drawing.regex_nodes import (
    BackReference,
    Border,
    Characters,
    Choice,
    Group,
    Look,
    Node,
    Repeat,
    Sequence,
)

_SPREAD = 4  # optional repetitions at most
_PLEASANT = "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789"
_PRINTABLE = _PLEASANT + "-_.,:;!?@#$%&*+=/()[]{}<>|~^'\"`\\ "
_SURROGATES = range(0xD800, 0xE000)
_BITS_A_STEP = 512
_MOST_OF_A_RANGE = 64
_LONG = 1_000


def shortest(node: Node) -> int:
    """The length of the shortest text."""
    match node:
        case Characters():
            return 1
        case Sequence(parts):
            return sum(map(shortest, parts))
        case Choice(branches):
            return min(map(shortest, branches))
        case Repeat(part, least):
            return least * shortest(part) if least else 0
        case Group(part):
            return shortest(part)
    return 0


class RegexDrawer:
    """Draws text for one expression. It ignores borders and look-arounds, so the result must be checked."""

    def __init__(self, node: Node, budget: Budget, *, widely: bool = False) -> None:
        """Raises `TooMuchWorkError` if every match is too long. `widely`: with punctuation wherever it is allowed."""
        self._candidates = (_PRINTABLE,) if widely else (_PLEASANT, _PRINTABLE)
        self._node = node
        self._budget = budget
        self._lengths: dict[tuple[int, int], int] = {}
        self._limit = 0
        self._alphabets: dict[int, str] = {}
        self._groups: dict[int, str] = {}
        budget.check_room(shortest(node))

    def draw(self, source: random.Random) -> str:
        self._groups.clear()
        return "".join(self._pieces(self._node, source))

    def draw_between(self, source: random.Random, least: int, most: int) -> str | None:
        """Text of a length between these bounds, inclusive; None if there is none."""
        if most != self._limit:
            self._limit = most
            self._lengths.clear()
        possible = self._possible(self._node) >> least << least
        if not possible:
            return None
        found = list(_bits(possible, 8))
        self._groups.clear()
        return "".join(self._pieces_of(self._node, source.choice(found), source))

    def _pieces(self, node: Node, source: random.Random) -> Iterator[str]:
        self._budget.step()
        match node:
            case Characters():
                yield source.choice(self._alphabet(node))
            case Sequence(parts):
                for part in parts:
                    yield from self._pieces(part, source)
            case Choice(branches):
                yield from self._pieces(source.choice(_short_ones(branches)), source)
            case Repeat(part, least, most):
                spread = _SPREAD if most is None else min(_SPREAD, most - least)
                times = least + source.randint(0, spread)
                if isinstance(part, Characters):
                    yield self._run(part, times, source)
                else:
                    for _ in range(times):
                        yield from self._pieces(part, source)
            case Group(part, number):
                text = self._groups[number] = "".join(self._pieces(part, source))
                yield text
            case BackReference(number):
                yield self._again(number)
            case Border() | Look():
                pass

    def _run(self, node: Characters, times: int, source: random.Random) -> str:
        self._budget.step(times // 64)
        self._budget.write(times)
        return "".join(source.choices(self._alphabet(node), k=times)) if times else ""

    def _again(self, number: int) -> str:
        text = self._groups.get(number, "")
        self._budget.write(len(text))
        return text

    def _alphabet(self, node: Characters) -> str:
        """The plainest characters of the set. Raises `UndrawableError` if it has none."""
        found = self._alphabets.get(id(node))
        if found is None:
            self._budget.step(4)
            found = self._alphabets[id(node)] = _alphabet(node, self._candidates)
        return found

    def _possible(self, node: Node) -> int:
        """The possible lengths up to the limit, as a bit set."""
        key = (id(node), -1)
        if (found := self._lengths.get(key)) is None:
            found = self._lengths[key] = self._possible_lengths(node)
        return found

    def _possible_lengths(self, node: Node) -> int:
        match node:
            case Characters():
                return 0b10 if self._limit else 0
            case Sequence(parts):
                found = 1
                for part in parts:
                    found = self._sums(found, self._possible(part))
                return found
            case Choice(branches):
                found = 0
                for branch in branches:
                    found |= self._possible(branch)
                return found
            case Repeat(part, least, most):
                return self._possible_times(part, least, most)
            case Group(part):
                return self._possible(part)
            case BackReference():
                raise NoTextError(
                    "the simulated engine cannot draw text of a given length for a pattern with a back reference"
                )
        return 1

    def _possible_times(self, part: Node, least: int, most: int | None) -> int:
        """The possible lengths of the part repeated."""
        key = (id(part), least << 32 | (0xFFFFFFFF if most is None else most))
        if (known := self._lengths.get(key)) is not None:
            return known
        everything = (1 << (self._limit + 1)) - 1
        if isinstance(part, Characters):
            most = self._limit if most is None else min(most, self._limit)
            found = (everything >> (self._limit - most)) >> least << least if least <= most else 0
        else:
            one = self._possible(part)
            found = self._power(one, least)
            border = found
            left = self._limit if most is None else most - least
            while border and left:
                border = self._sums(border, one) & ~found
                found |= border
                left -= 1
        self._lengths[key] = found
        return found

    def _power(self, one: int, times: int) -> int:
        found = 1
        while times and found:
            if times & 1:
                found = self._sums(found, one)
            times >>= 1
            one = self._sums(one, one) if times else one
        return found

    def _sums(self, one: int, other: int) -> int:
        """The pairwise sums of two sets of lengths, up to the limit."""
        few, many = sorted((one, other), key=int.bit_count)
        self._budget.step(1 + few.bit_count() * (self._limit + _BITS_A_STEP) // (_BITS_A_STEP * 16))
        found = 0
        while few:
            low = few & -few
            found |= many << (low.bit_length() - 1)
            few ^= low
        return found & ((1 << (self._limit + 1)) - 1)

    def _pieces_of(self, node: Node, length: int, source: random.Random) -> Iterator[str]:
        """Text of exactly this length, which must be possible."""
        self._budget.step()
        match node:
            case Characters():
                yield source.choice(self._alphabet(node))
            case Sequence(parts):
                yield from self._in_a_row(parts, length, source)
            case Choice(branches):
                fitting = [branch for branch in branches if self._possible(branch) >> length & 1]
                yield from self._pieces_of(source.choice(fitting), length, source)
            case Repeat(part, least, most):
                if isinstance(part, Characters):
                    yield self._run(part, length, source)
                else:
                    yield from self._repeated(part, least, most, length, source)
            case Group(part, number):
                text = self._groups[number] = "".join(self._pieces_of(part, length, source))
                yield text
            case _:
                pass

    def _in_a_row(self, parts: tuple[Node, ...], length: int, source: random.Random) -> Iterator[str]:
        tails = [1]  # the lengths of what follows, last part first
        for part in reversed(parts[1:]):
            tails.append(self._sums(tails[-1], self._possible(part)))
        for part in parts:
            tail = tails.pop()
            own = self._split(self._possible(part), tail, length, source)
            yield from self._pieces_of(part, own, source)
            length -= own

    def _repeated(self, part: Node, least: int, most: int | None, length: int, source: random.Random) -> Iterator[str]:
        while length or least:
            heads = self._possible(part)
            if not least:
                heads &= ~1  # each repetition must consume something
            least, most = max(0, least - 1), None if most is None else most - 1
            own = self._split(heads, self._possible_times(part, least, most), length, source)
            yield from self._pieces_of(part, own, source)
            length -= own

    def _split(self, heads: int, tails: int, length: int, source: random.Random) -> int:
        """A length for the head that leaves a possible length for the tail."""
        self._budget.step(1 + length // 32)
        fitting = [
            head for head in _bits(heads & ((1 << (length + 1)) - 1), length + 1) if tails >> (length - head) & 1
        ]
        return source.choice(fitting)


def _short_ones(branches: tuple[Node, ...]) -> list[Node]:
    """The branches, without very long ones unless all are very long."""
    lengths = [shortest(branch) for branch in branches]
    most = max(min(lengths), _LONG)
    return [branch for branch, length in zip(branches, lengths, strict=True) if length <= most]


def _bits(number: int, most: int) -> Iterator[int]:
    """The positions of the lowest set bits, `most` of them at most."""
    while number and most:
        low = number & -number
        yield low.bit_length() - 1
        number ^= low
        most -= 1


def _alphabet(node: Characters, preferred: tuple[str, ...]) -> str:
    for candidates in preferred:
        found = "".join(filter(node.contains, candidates))
        if found:
            return found
    if not node.negated:
        sample = (
            chr(code)
            for low, high in node.ranges
            for code in range(low, min(high + 1, low + _MOST_OF_A_RANGE))
            if code not in _SURROGATES
        )
        found = "".join(sample)
    if not found:
        codes = (code for low in (0x00, 0xA0, 0x391, 0x410, 0x4E00, 0x1F600) for code in range(low, low + 96))
        found = "".join(filter(node.contains, map(chr, codes)))
    if not found:
        raise UndrawableError("a character class in its pattern matches no character that JSON can hold")
    return found
