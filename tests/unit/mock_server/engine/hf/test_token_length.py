"""A text's length bounds its tokens only if each of its characters must be part of one."""

from __future__ import annotations

import json
from typing import Any

import pytest

from mock_server.engine.hf.token_length import longest_token

BYTES = {"type": "ByteLevel"}
NFC = {"type": "NFC"}


class Described:
    """The part of a tokenizer that is used: its description."""

    def __init__(self, *, model: dict[str, Any] | None = None, added: dict[str, Any] | None = None, **how: Any) -> None:
        self.backend_tokenizer = self
        token = {"content": "<|end|>", "lstrip": False, "rstrip": False, **(added or {})}
        model = {"type": "BPE", "vocab": {"a": 0, "abc": 1}, **(model or {})}
        self.described = {"normalizer": None, "pre_tokenizer": BYTES, "added_tokens": [token], "model": model, **how}

    def to_str(self) -> str:
        return json.dumps(self.described)


def both(*steps: dict[str, Any], of: str) -> dict[str, Any]:
    return {"type": "Sequence", of: list(steps)}


@pytest.mark.parametrize(
    ("tokenizer", "longest"),
    [
        (Described(), 7),
        (Described(model={"vocab": {"a" * 80: 0}}), 80),
        (Described(normalizer=NFC), 28),
        (Described(normalizer={"type": "Lowercase"}), None),
        (Described(normalizer={"type": "Replace", "pattern": {"String": " "}, "content": "_"}), 7),
        (Described(normalizer={"type": "Replace", "pattern": {"Regex": " +"}, "content": " "}), None),
        (Described(normalizer={"type": "Replace", "pattern": {"String": "ab"}, "content": "a"}), None),
        (Described(pre_tokenizer=both(BYTES, {"type": "Split", "behavior": "Isolated"}, of="pretokenizers")), 7),
        (Described(pre_tokenizer=both(BYTES, {"type": "Split", "behavior": "Removed"}, of="pretokenizers")), None),
        (Described(pre_tokenizer={"type": "Whitespace"}), None),
        (Described(pre_tokenizer=None), None),
        (Described(pre_tokenizer=None, model={"byte_fallback": True}), 7),
        (Described(model={"type": "WordPiece"}), None),
        (Described(added={"rstrip": True}), None),
        (object(), None),
    ],
)
def test_the_longest_token_is_known_where_no_character_is_lost(tokenizer: object, longest: int | None) -> None:
    assert longest_token(tokenizer) == longest
