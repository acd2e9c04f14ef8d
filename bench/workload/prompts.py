"""Reads prompts from a JSONL file: the one in the package, or the user's."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from importlib import resources
from pathlib import Path
from typing import Any

import msgspec

from bench.workload.body import EndpointKind
from bench.workload.datasets import Prompt

_MOST_TOKENS = 2**31 - 1
LENGTH_FIELDS = ("output_len", "max_tokens", "output_tokens")


class PromptFileError(ValueError):
    """A prompts file that cannot be used. The message names the file, the line, the field and the remedy."""


@dataclass(frozen=True, slots=True)
class _Line:
    """The position of a line, for error messages."""

    name: str
    number: int

    def wrong(self, what: str) -> PromptFileError:
        return PromptFileError(f"{self.name}, line {self.number}: {what}")


def bundled_prompts(kind: EndpointKind, output_len: int) -> list[Prompt]:
    """The questions in the package: Chinese and English, short and long."""
    text = resources.files("bench.workload").joinpath("prompts.jsonl").read_text("utf-8")
    return _parse(text, "prompts.jsonl", kind, output_len)


def load_prompts(path: Path, kind: EndpointKind, output_len: int) -> list[Prompt]:
    """The prompts of a file, one JSON object per line; the length in a line overrides `output_len`.

    Raises PromptFileError when the file cannot be read or a line is wrong.
    """
    try:
        if path.is_char_device():  # it may have no end
            raise PromptFileError(f"--prompts {path}: is a device; name a file")
        text = path.read_text("utf-8-sig")
    except UnicodeDecodeError as error:
        raise PromptFileError(f"--prompts {path}: not UTF-8 text (byte {error.start})") from None
    except OSError as error:
        raise PromptFileError(f"--prompts {path}: cannot be read ({error.strerror})") from None
    return _parse(text, str(path), kind, output_len)


def _parse(text: str, name: str, kind: EndpointKind, output_len: int) -> list[Prompt]:
    prompts = list(_prompts(text, name, kind, output_len))
    if not prompts:
        raise PromptFileError(
            f'{name}: contains no prompts; write one per line, such as {{"prompt": "Why is the sky blue?"}}'
        )
    return prompts


def _prompts(text: str, name: str, kind: EndpointKind, output_len: int) -> Iterator[Prompt]:
    for number, content in enumerate(text.split("\n"), 1):
        if not content.strip():
            continue
        line = _Line(name, number)
        try:
            item = msgspec.json.decode(content)
        except (ValueError, RecursionError) as error:
            raise line.wrong(f"not JSON ({error})") from None
        if not isinstance(item, dict):
            raise line.wrong(f'must be a JSON object, such as {{"prompt": "…"}}, not {content.strip()[:40]}')
        yield _prompt(item, line, kind, _length(item, line, output_len))


def _length(item: dict[str, Any], line: _Line, output_len: int) -> int:
    given = [name for name in LENGTH_FIELDS if item.get(name) is not None]
    if len(given) > 1:
        raise line.wrong(f"{' and '.join(given)} mean the same; keep one of them")
    if not given:
        return output_len
    value = item[given[0]]
    if type(value) is not int or not 1 <= value <= _MOST_TOKENS:
        raise line.wrong(f"{given[0]} must be a whole number of tokens, from 1 to {_MOST_TOKENS} (got {value!r:.40})")
    return value


def _prompt(item: dict[str, Any], line: _Line, kind: EndpointKind, output_len: int) -> Prompt:
    prompt, messages = item.get("prompt"), item.get("messages")
    if (prompt is None) == (messages is None):
        found = "both" if prompt is not None else f"only {', '.join(map(repr, item)) or 'nothing'}"
        raise line.wrong(f"either 'prompt' or 'messages' is required, {found} found")
    if messages is not None:
        if kind != "chat":
            raise line.wrong("'messages' are for the chat endpoint; give 'prompt', or --endpoint chat")
        return Prompt(output_len, messages=_messages(messages, line))
    if not isinstance(prompt, str) or not prompt:
        raise line.wrong(f"'prompt' must be text that is not empty (got {prompt!r:.60})")
    if kind == "chat":
        return Prompt(output_len, messages=[{"role": "user", "content": prompt}])
    return Prompt(output_len, text=prompt)


def _messages(messages: Any, line: _Line) -> list[dict[str, Any]]:
    if not isinstance(messages, list) or not messages:
        raise line.wrong("'messages' must be a list of at least one message")
    for position, message in enumerate(messages):
        if not isinstance(message, dict) or not isinstance(message.get("role"), str):
            raise line.wrong(f"messages[{position}] needs a 'role', such as \"user\"")
        if not isinstance(message.get("content"), str | list) or not message["content"]:
            raise line.wrong(f"messages[{position}].content must be text or a list of parts that is not empty")
    return messages
