"""Finds the API key: in an option, a file, a header or the environment. The key is never shown."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any

from bench.headers import Header, wire_text
from bench.load.settings import API_KEY_VARIABLE, UsageError

_OPTIONS = {"api_key": "--api-key", "api_key_file": "--api-key-file", "header": "--header Authorization"}


def read_key(
    options: Mapping[str, Any], headers: tuple[Header, ...], environment: Mapping[str, str]
) -> tuple[str | None, str | None]:
    """The key, and the environment variable that holds it if no option gave it. Raises UsageError."""
    given = {
        "api_key": options["api_key"],
        "api_key_file": options["api_key_file"],
        "header": next((value for name, value in headers if name.lower() == "authorization"), None),
    }
    named = [name for name, value in given.items() if value is not None]
    if len(named) > 1:
        problem = f"{' and '.join(map(_OPTIONS.__getitem__, named))} exclude each other; keep one of them"
        raise UsageError(problem, *named)
    if options["api_key"] is not None:
        return _checked(options["api_key"], "--api-key", "api_key"), None
    if options["api_key_file"] is not None:
        path: Path = options["api_key_file"]
        return _checked(_read(path), f"--api-key-file {path}:", "api_key_file"), None
    if named or not environment.get(API_KEY_VARIABLE):
        return None, None
    return _checked(environment[API_KEY_VARIABLE], f"{API_KEY_VARIABLE}:"), API_KEY_VARIABLE


def _read(path: Path) -> str:
    try:
        return path.read_text("utf-8-sig")
    except UnicodeDecodeError:
        problem = f"--api-key-file {path}: is not UTF-8 text; it must contain only the key"
        raise UsageError(problem, "api_key_file") from None
    except (OSError, ValueError) as error:
        reason = getattr(error, "strerror", None) or error
        raise UsageError(f"--api-key-file {path}: cannot be read ({reason})", "api_key_file") from None


def _checked(text: str, source: str, *options: str) -> str:
    """The key without surrounding white space. Raises UsageError if a header cannot hold it."""
    key = text.strip()
    if not key:
        raise UsageError(f"{source} is empty; leave it out to send no key", *options)
    if any(character.isspace() or not character.isprintable() for character in key):
        raise UsageError(f"{source} must be one word; the key contains white space or a control character", *options)
    return wire_text(key)
