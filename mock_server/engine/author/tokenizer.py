"""The bundled tokenizer: fast, with an exact round trip for any text and a usual number of characters per token.

Text is split into runs (a word with its space, digits, Chinese characters, symbols), and each run greedily into the
longest known pieces. A prefix of the ids of a text is therefore the ids of a prefix of the text.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator, Sequence

from mock_server.engine.author.vocabulary import NUM_BYTES, SPECIAL_TOKENS, build_pieces

_RUNS = re.compile(r" ?[A-Za-z]+|'[a-z]{1,2}|[0-9]{1,3}|[一-鿿]+|\n+| ?[^A-Za-z0-9 \n一-鿿]+| +")
_MAX_CACHED_RUNS = 50_000
_MAX_CACHED_RUN_LENGTH = 24
_PIECE = 256


class Tokenizer:
    """Ids: 256 bytes, then the special tokens, then the pieces."""

    def __init__(self) -> None:
        pieces = build_pieces()
        first_piece = self.first_piece = NUM_BYTES + len(SPECIAL_TOKENS)
        self.special_ids = {token: NUM_BYTES + i for i, token in enumerate(SPECIAL_TOKENS)}
        self.eos_token_id = self.special_ids["<|end|>"]
        self.vocab_size = first_piece + len(pieces)
        self._special_names = {i: token.encode() for token, i in self.special_ids.items()}
        self._bytes = [bytes([b]) for b in range(NUM_BYTES)]
        self._bytes += [b""] * len(SPECIAL_TOKENS)
        self._bytes += [piece.encode() for piece in pieces]
        # The text of a single token; None for a byte that is only part of a character.
        self._texts: list[str | None] = [chr(b) if b < 128 else None for b in range(NUM_BYTES)]
        self._texts += [""] * len(SPECIAL_TOKENS)
        self._texts += pieces
        self._ids = {piece: first_piece + i for i, piece in enumerate(pieces)}
        self._ids.update((chr(b), b) for b in range(128))
        self.longest_piece = max(map(len, pieces))
        """The length of the longest token in characters."""
        self._longest = _longest_by_first_character(self._ids)
        self._runs: dict[str, tuple[int, ...]] = {piece: (i,) for piece, i in self._ids.items()}
        self._max_known_runs = len(self._runs) + _MAX_CACHED_RUNS

    def encode(self, text: str) -> list[int]:
        """Token ids of `text`. Text that looks like a special token is plain text."""
        ids: list[int] = []
        known = self._runs
        for run in _RUNS.findall(text):
            ids += known.get(run) or self._encode_run(run)
        return ids

    def pieces(self, text: str) -> Iterator[Sequence[int]]:
        """The same ids, lazily, in pieces of a few hundred: each letter of a long word takes microseconds."""
        known = self._runs
        ids: list[int] = []
        for found in _RUNS.finditer(text):
            run = found[0]
            at, end = 0, len(run)
            if end <= _PIECE:
                ids += known.get(run) or self._encode_run(run)
                at = end
            while at < end:
                at = self._encode_part(run, at, min(at + _PIECE, end), ids)
                yield ids
                ids = []
            if len(ids) >= _PIECE:
                yield ids
                ids = []
        if ids:
            yield ids

    def _encode_run(self, run: str) -> tuple[int, ...]:
        ids: list[int] = []
        self._encode_part(run, 0, len(run), ids)
        found = tuple(ids)
        if len(run) <= _MAX_CACHED_RUN_LENGTH and len(self._runs) < self._max_known_runs:
            self._runs[run] = found
        return found

    def _encode_part(self, run: str, at: int, until: int, ids: list[int]) -> int:
        """Appends the ids of the text from `at` on. Returns where they end: at `until`, or a little after it."""
        end = len(run)
        while at < until:
            for stop in range(min(end, at + self._longest.get(run[at], 0)), at, -1):
                token_id = self._ids.get(run[at:stop])
                if token_id is not None:
                    ids.append(token_id)
                    at = stop
                    break
            else:
                ids += run[at].encode()
                at += 1
        return at

    def decode(self, token_ids: Iterable[int], *, special: bool = False) -> str:
        """The text of the ids. Invalid bytes become U+FFFD. `special`: include special tokens."""
        if special:
            return self.written_bytes(token_ids).decode("utf-8", "replace")
        table = self._bytes
        return b"".join([table[i] for i in token_ids]).decode("utf-8", "replace")

    def written_bytes(self, token_ids: Iterable[int]) -> bytes:
        """The bytes of the ids, including special tokens."""
        table, names = self._bytes, self._special_names
        return b"".join([table[i] or names.get(i, b"") for i in token_ids])

    def token_text(self, token_id: int) -> str | None:
        """The text of a single token, or None if it is part of a character."""
        return self._texts[token_id]

    def shown_bytes(self, token_id: int) -> bytes:
        return self._bytes[token_id]


def _longest_by_first_character(pieces: Iterable[str]) -> dict[str, int]:
    longest: dict[str, int] = {}
    for piece in pieces:
        longest[piece[0]] = max(longest.get(piece[0], 0), len(piece))
    return longest
