"""The bundled tokenizer's tokens: bytes, special tokens, and pieces derived from two word lists.

Every byte is a token, so any text can be written. Words, with and without a leading space, keep it short.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from pathlib import Path
from string import ascii_letters

IMAGE = "<|image|>"
SPECIAL_TOKENS = ("<|end|>", "<|system|>", "<|user|>", "<|assistant|>", "<|role|>", "<|content|>", IMAGE)
NUM_BYTES = 256

_DATA = Path(__file__).with_name("data")
_VOWELS = "aeiou"


def build_pieces() -> list[str]:
    """The text pieces in the order of their ids, without bytes and special tokens. Each has two or more bytes."""
    pieces = dict.fromkeys(_whitespace())
    english = _read_sections(_DATA / "english.txt")
    for symbol in english["symbol"]:
        pieces[symbol] = None
        pieces[" " + symbol] = None
    pieces.update(dict.fromkeys(_numbers()))
    pieces.update(dict.fromkeys(english["piece"]))
    for start in (*ascii_letters, *(piece for piece in english["piece"] if len(piece) == 2)):
        pieces[" " + start] = None
    for word in _english_words(english):
        for form in (word, word[0].upper() + word[1:]):
            pieces[form] = None
            pieces[" " + form] = None
    pieces.update(dict.fromkeys((_DATA / "chinese.txt").read_text("utf-8").split()))
    pieces.update(dict.fromkeys(_common_characters()))
    return [piece for piece in pieces if len(piece.encode()) > 1]


def _read_sections(path: Path) -> dict[str, list[str]]:
    sections: dict[str, list[str]] = {}
    words: list[str] = []
    for line in path.read_text("utf-8").splitlines():
        if line.startswith("[") and line.endswith("]") and " " not in line:
            words = sections.setdefault(line[1:-1], [])
        else:
            words.extend(line.split())
    return sections


def _whitespace() -> Iterator[str]:
    for length in range(2, 17):
        yield " " * length
    yield from ("\n\n", "\n\n\n", "\r\n", "\t\t", "\t\t\t", "\t\t\t\t")


def _numbers() -> Iterator[str]:
    for digits in (2, 3):
        for number in range(10**digits):
            yield f"{number:0{digits}d}"


def _english_words(sections: dict[str, list[str]]) -> Iterator[str]:
    yield from sections["plain"]
    for verb in sections["verb"]:
        yield from (verb, _plural(verb), _past(verb), _participle(verb))
    for noun in sections["noun"]:
        yield from (noun, _plural(noun))
    for adjective in sections["adjective"]:
        yield from (adjective, _adverb(adjective))


def _plural(word: str) -> str:
    if word.endswith(("s", "x", "z", "ch", "sh")):
        return word + "es"
    if word.endswith("y") and word[-2] not in _VOWELS:
        return word[:-1] + "ies"
    return word + "s"


def _past(verb: str) -> str:
    if verb.endswith("e"):
        return verb + "d"
    if verb.endswith("y") and verb[-2] not in _VOWELS:
        return verb[:-1] + "ied"
    return verb + "ed"


def _participle(verb: str) -> str:
    return (verb[:-1] if verb.endswith("e") and not verb.endswith(("ee", "ye")) else verb) + "ing"


def _adverb(adjective: str) -> str:
    if adjective.endswith("y"):
        return adjective[:-1] + "ily"
    if adjective.endswith("le"):
        return adjective[:-1] + "y"
    return adjective + "ly"


def _common_characters() -> Iterable[str]:
    """The 3,755 characters of GB 2312's first level, which are in daily use."""
    for row in range(0xB0, 0xD8):
        cells = range(0xA1, 0xFF if row < 0xD7 else 0xFA)
        yield from bytes(byte for cell in cells for byte in (row, cell)).decode("gb2312")
