"""Keeps what must stay secret out of texts that others wrote: a server may quote the key that it refuses. Pure."""

from __future__ import annotations

import re
from collections.abc import Iterable

from bench.headers import HIDDEN

_SHORTEST = 3
_LONG = 8  # shorter ones are hidden as whole words alone: `X-Debug: on` must not black out half a text


class Redactor:
    """Replaces each secret in a text; of one with a scheme before it (`Bearer KEY`), the rest by itself, too."""

    def __init__(self, secrets: Iterable[str]) -> None:
        parts = {part for secret in secrets for part in _parts(secret) if len(part) >= _SHORTEST}
        patterns = [
            re.escape(part) if len(part) >= _LONG else rf"(?<!\w){re.escape(part)}(?!\w)"
            for part in sorted(parts, key=len, reverse=True)
        ]
        self._pattern = re.compile("|".join(patterns)) if patterns else None

    def __call__(self, text: str) -> str:
        return text if self._pattern is None else self._pattern.sub(HIDDEN, text)


def _parts(secret: str) -> list[str]:
    scheme, *words = secret.split()
    return [secret, *words] if scheme.isalpha() else [secret, scheme, *words]
