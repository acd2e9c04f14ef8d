"""The bytes of each token of a Hugging Face vocabulary, found from how its decoder turns pieces into text."""

from __future__ import annotations

from collections.abc import Callable, Collection, Mapping, Sequence
from typing import Any

PieceReader = Callable[[str], bytes]

_SPACE_MARK = "\u2581"  # SentencePiece's


def _byte_alphabet() -> dict[str, int]:
    """GPT-2's printable characters for the 256 bytes: printable bytes are themselves, the rest count up from U+0100."""
    printable = [*range(0x21, 0x7F), *range(0xA1, 0xAD), *range(0xAE, 0x100)]
    alphabet = {chr(byte): byte for byte in printable}
    rest = (byte for byte in range(256) if byte not in printable)
    alphabet.update({chr(0x100 + position): byte for position, byte in enumerate(rest)})
    return alphabet


_BYTE_ALPHABET = _byte_alphabet()


def read_byte_level(piece: str) -> bytes:
    """Added tokens are plain text, as are all characters outside the alphabet."""
    try:
        return bytes([_BYTE_ALPHABET[character] for character in piece])
    except KeyError:
        return piece.encode()


def read_marked(piece: str) -> bytes:
    """Reads SentencePiece's pieces: a mark for each space, and <0x0A> for a byte that has no piece."""
    if len(piece) == 6 and piece.startswith("<0x") and piece.endswith(">"):
        return bytes.fromhex(piece[3:5])
    return piece.replace(_SPACE_MARK, " ").encode()


def piece_reader(decoder: Mapping[str, Any]) -> PieceReader | None:
    """A function that reads the pieces of a vocabulary, chosen by its decoder's description in tokenizer.json.

    None: a token's text depends on its neighbours, or the decoder is unknown.
    """
    steps: Sequence[Mapping[str, Any]] = decoder.get("decoders", [decoder])
    kinds = [step.get("type") for step in steps]
    if kinds == ["ByteLevel"]:
        return read_byte_level
    if kinds == ["Metaspace"] and steps[0].get("replacement") == _SPACE_MARK:
        return read_marked
    if "ByteFallback" in kinds and set(kinds) <= {"Replace", "ByteFallback", "Fuse", "Strip"}:
        (replace,) = [step for step in steps if step.get("type") == "Replace"] or [{}]
        if replace.get("content") == " " and replace.get("pattern") == {"String": _SPACE_MARK}:
            return read_marked
    return None


class VocabularyTable:
    """A `TokenTable` over a vocabulary's pieces. Each token is read once. Special tokens have no text."""

    def __init__(self, piece_of: Callable[[int], str | None], read: PieceReader, special_ids: Collection[int]) -> None:
        self._piece_of = piece_of
        self._read = read
        self._special_ids = special_ids
        self._bytes: dict[int, bytes] = {}
        self._texts: dict[int, str | None] = {}

    def token_bytes(self, token_id: int) -> bytes:
        """The bytes of a token, including special ones; empty for an unknown id."""
        piece = self._piece_of(token_id)
        return b"" if piece is None else self._read(piece)

    def shown_bytes(self, token_id: int) -> bytes:
        found = self._bytes.get(token_id)
        if found is None:
            found = b"" if token_id in self._special_ids else self.token_bytes(token_id)
            self._bytes[token_id] = found
        return found

    def token_text(self, token_id: int) -> str | None:
        try:
            return self._texts[token_id]
        except KeyError:
            try:
                text: str | None = self.shown_bytes(token_id).decode()
            except UnicodeDecodeError:
                text = None
            self._texts[token_id] = text
            return text
