"""Reads datasets in JSONL: one object per line, with query and response, or with messages."""

from __future__ import annotations

import json
import reprlib
from collections.abc import Iterable, Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any, cast, get_args

from mock_server.dataset.sample import Message, Role, Sample
from mock_server.engine.wording import WordedError
from streamgauge.nearest import did_you_mean

_ROLES = get_args(Role)
_QUERY_FORM = ("query", "response", "history", "system")
_MESSAGES_FORM = ("messages",)
_MEDIA = ("images", "audios", "videos", "objects")


class DatasetError(WordedError, ValueError):
    """A dataset that cannot be had or read. The message names the place and the remedy."""


class RowError(ValueError):
    """A row that cannot be read. The message lacks the place, which the caller knows."""


def read_samples(file: Path) -> list[Sample]:
    """The rows of a JSONL file, in its order; empty lines are skipped.

    Each is `{"query": …, "response": …, "history": [[…, …]], "system": …}`, of which only the query is required, or
    `{"messages": [{"role": …, "content": …}]}`, whose last message is the response if it is an assistant's.

    Raises `DatasetError`, which names the file, the line and the problem.
    """
    samples = list(_samples(file))
    if not samples:
        raise DatasetError(f"the dataset {file} has no rows")
    return samples


def _samples(file: Path) -> Iterator[Sample]:
    try:
        with file.open("rb") as lines:
            for number, line in enumerate(lines, 1):
                if line.strip():
                    yield _read_line(line, file, number)
    except OSError as error:
        raise DatasetError(f"the dataset {file} cannot be read: {error.strerror}") from None


def _read_line(line: bytes, file: Path, number: int) -> Sample:
    try:
        row = json.loads(line.rstrip().decode("utf-8-sig" if number == 1 else "utf-8"))
        return read_row(row, f"{file}:{number}")
    except UnicodeDecodeError as error:
        problem = f"byte {error.start + 1} is not UTF-8"
    except json.JSONDecodeError as error:
        problem = f"not JSON: {error.msg} at character {error.pos + 1}"
    except RecursionError:
        problem = "not JSON that can be read: it is nested too deeply"
    except RowError as error:
        problem = str(error)
    raise DatasetError(f"{file}, line {number}: {problem}")


def read_row(row: Any, origin: str) -> Sample:
    """A row as JSON has it. Raises `RowError`."""
    if isinstance(row, list):
        raise RowError("a list; each line must be an object of its own")
    if not isinstance(row, Mapping):
        raise RowError(f"must be an object (got {reprlib.repr(row)})")
    for name in _MEDIA:
        if row.get(name):
            raise RowError(f"{name} cannot be used: only text can")
    if "messages" in row:
        _check_keys(row, _MESSAGES_FORM)
        if extra := next((name for name in _QUERY_FORM if row.get(name)), None):
            raise RowError(f"{extra} cannot stand beside messages, which has all that is said: keep one")
        return _of_messages(row["messages"], origin)
    _check_keys(row, _QUERY_FORM)
    return _of_query(row, origin)


def _check_keys(row: Mapping[str, Any], form: Sequence[str]) -> None:
    """Refuses a key that is probably a misspelt one. Others may be notes of whoever made the file."""
    for name in row:
        hint = did_you_mean(name, form) if name not in form else ""
        if hint:
            raise RowError(f"{name!r} is not known.{hint}")


def _of_query(row: Mapping[str, Any], origin: str) -> Sample:
    if "query" not in row:
        raise RowError("has neither query nor messages")
    system, response = _text_or_none(row, "system"), _text_or_none(row, "response")
    turns = [] if system is None else [Message("system", system)]
    history = row.get("history") or []
    if not isinstance(history, list):
        raise RowError(f"history must be a list of [query, response] pairs (got {reprlib.repr(history)})")
    for number, pair in enumerate(history):
        if not (isinstance(pair, list) and len(pair) == 2 and all(isinstance(text, str) for text in pair)):
            raise RowError(f"history[{number}] must be [query, response], both strings (got {reprlib.repr(pair)})")
        turns += [Message("user", pair[0]), Message("assistant", pair[1])]
    query = _text_or_none(row, "query")
    if query is None:
        raise RowError("query must be a string (got None)")
    return Sample((*turns, Message("user", query)), response, origin)


def _text_or_none(row: Mapping[str, Any], name: str) -> str | None:
    value = row.get(name)
    if value is not None and not isinstance(value, str):
        raise RowError(f"{name} must be a string (got {reprlib.repr(value)})")
    return value


def _of_messages(messages: Any, origin: str) -> Sample:
    if not isinstance(messages, list) or not messages:
        raise RowError(f"messages must be a list with at least one message (got {reprlib.repr(messages)})")
    turns = [_message(message, f"messages[{number}]") for number, message in enumerate(messages)]
    response = turns.pop().content if turns[-1].role == "assistant" else None
    _check_order(turns)
    return Sample(tuple(turns), response, origin)


def _message(message: Any, place: str) -> Message:
    if not isinstance(message, Mapping):
        raise RowError(f"{place} must be an object with role and content (got {reprlib.repr(message)})")
    role, content = message.get("role"), message.get("content")
    if role not in _ROLES:
        raise RowError(f"{place}.role must be one of {', '.join(_ROLES)} (got {reprlib.repr(role)})")
    if not isinstance(content, str):
        raise RowError(f"{place}.content must be a string (got {reprlib.repr(content)})")
    return Message(cast(Role, role), content)


def _check_order(turns: Sequence[Message]) -> None:
    said = turns[1:] if turns and turns[0].role == "system" else turns
    if any(message.role != ("user", "assistant")[number % 2] for number, message in enumerate(said)):
        raise RowError("after the system message, if any, user and assistant must take turns, the user first")
    if not said or said[-1].role != "user":
        raise RowError("messages has no message of the user before the answer")


def write_samples(file: Path, samples: Iterable[Sample]) -> None:
    """In the form with messages. Raises `OSError`."""
    with file.open("w", encoding="utf-8") as lines:
        for sample in samples:
            turns = [message._asdict() for message in sample.messages]
            if sample.response is not None:
                turns.append({"role": "assistant", "content": sample.response})
            lines.write(json.dumps({"messages": turns}, ensure_ascii=False) + "\n")
