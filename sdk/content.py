"""Splits content that a server sends as a list of typed parts into text, reasoning and refusal."""

from __future__ import annotations

from typing import Any, NamedTuple

_TEXT = frozenset({"text", "output_text", "input_text"})
_REASONING = frozenset({"thinking", "reasoning", "reasoning_text", "reasoning.text", "summary_text"})
_REASONING_KEYS = ("thinking", "reasoning", "reasoning_content", "text", "content", "summary")


class Parts(NamedTuple):
    """The parts of a content list, joined by kind. Parts of other kinds are left out."""

    text: str
    reasoning: str
    refusal: str


def split_content(content: list[Any] | dict[str, Any]) -> Parts:
    """The text, reasoning and refusal of a content list, or of a single part."""
    text: list[str] = []
    reasoning: list[str] = []
    refusal: list[str] = []
    for part in content if isinstance(content, list) else [content]:
        if isinstance(part, str):
            text.append(part)
        elif isinstance(part, dict):
            kind = str(part.get("type") or ("text" if "text" in part else "")).lower()
            if kind in _TEXT:
                text.append(plain_text(part.get("text") or part.get("content")))
            elif kind in _REASONING:
                said = next((part[key] for key in _REASONING_KEYS if part.get(key)), "")
                reasoning.append(plain_text(said))
            elif kind == "refusal":
                refusal.append(plain_text(part.get("refusal")))
        elif isinstance(part, list):
            for parts, said in zip((text, reasoning, refusal), split_content(part), strict=True):
                parts.append(said)
    return Parts("".join(text), "".join(reasoning), "".join(refusal))


def plain_text(value: Any) -> str:
    """The text of a value that should be text: itself, the text of its parts, or empty."""
    if isinstance(value, str):
        return value
    if isinstance(value, list):
        return "".join(map(plain_text, value))
    if isinstance(value, dict):  # {"type": "text", "text": "…"}, or {"value": "…", "annotations": […]}
        return next((plain_text(value[key]) for key in ("text", "value", *_REASONING_KEYS) if value.get(key)), "")
    return ""
