"""The longest token of a Hugging Face vocabulary, which gives a lower bound on a text's tokens before tokenizing."""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping
from typing import Any

_LONGEST_DECOMPOSITION = 4
"""The number of characters that NFC may join into one."""


def longest_token(tokenizer: Any) -> int | None:
    """The largest number of characters that become one token; None if there is no bound or it is unknown.

    It is known for vocabularies of bytes (BPE over bytes, or with a fallback to them), where every character is part of
    some token.
    """
    backend = getattr(tokenizer, "backend_tokenizer", None)
    if backend is None:
        return None
    described: Mapping[str, Any] = json.loads(backend.to_str())
    model = described["model"]
    factor = _growth(described.get("normalizer"))
    if factor is None or not _keeps_all(described) or any(map(_takes_spaces, described["added_tokens"])):
        return None
    return factor * max(map(len, [*model["vocab"], *(token["content"] for token in described["added_tokens"])]))


def _keeps_all(described: Mapping[str, Any]) -> bool:
    """Whether every character of a text becomes part of a token that contains it."""
    splits = list(_steps(described.get("pre_tokenizer"), "pretokenizers"))
    model = described["model"]
    if model.get("type") != "BPE" or any(split.get("behavior") == "Removed" for split in splits):
        return False
    kinds = {split.get("type") for split in splits}
    return kinds <= {"ByteLevel", "Split", "Digits", "Metaspace"} and (
        "ByteLevel" in kinds or model.get("byte_fallback") is True
    )


def _takes_spaces(token: Mapping[str, Any]) -> bool:
    return bool(token["lstrip"] or token["rstrip"])


def _growth(normalizer: Mapping[str, Any] | None) -> int | None:
    """How many characters a normalizer may join into one; None: no bound."""
    factor = 1
    for step in _steps(normalizer, "normalizers"):
        if step["type"] == "NFC":
            factor *= _LONGEST_DECOMPOSITION
        elif step["type"] == "Replace":
            replaced = step["pattern"].get("String", "")
            if len(replaced) != 1 or not step["content"]:
                return None
        elif step["type"] != "Prepend":
            return None
    return factor


def _steps(described: Mapping[str, Any] | None, name: str) -> Iterator[Mapping[str, Any]]:
    if described is None:
        return
    if described["type"] != "Sequence":
        yield described
        return
    for step in described[name]:
        yield from _steps(step, name)
