"""Keeps what must stay secret out of texts that others wrote: a server may quote the key that it refuses. Pure."""

from __future__ import annotations

import re
from collections.abc import Iterable

from bench.headers import HIDDEN

# Shorter words, such as the value of `X-Debug: 1`, would black out texts that have nothing to do with them.
_SHORTEST = 6


class Redactor:
    """Replaces each secret in a text, and each word of it: `Bearer KEY` is quoted as KEY, too."""

    def __init__(self, secrets: Iterable[str]) -> None:
        parts = {part for secret in secrets for part in (secret, *secret.split()) if len(part) >= _SHORTEST}
        longest_first = sorted(parts - {"Bearer", "bearer"}, key=len, reverse=True)
        self._pattern = re.compile("|".join(map(re.escape, longest_first))) if longest_first else None

    def __call__(self, text: str) -> str:
        return text if self._pattern is None else self._pattern.sub(HIDDEN, text)
