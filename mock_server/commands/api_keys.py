"""Reads the server's API keys from options, a file, or the environment. No message ever contains a key."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path

from mock_server.commands.wrong_use import DeployError
from mock_server.engine.wording import Part, Setting

VARIABLE = "STREAMGAUGE_API_KEY"


def read_keys(given: Sequence[str], file: str | None, environ: Mapping[str, str]) -> tuple[str, ...]:
    """The keys of the options and of the file; without either, the variable's key. Raises `DeployError`."""
    if not given and file is None:
        if VARIABLE not in environ:
            return ()
        if not environ[VARIABLE].strip():  # a secret that was never filled in must not open the server
            raise DeployError(f"{VARIABLE} is set but empty: set it to a key, or unset it to accept every request")
        return (_checked(environ[VARIABLE], VARIABLE),)
    keys = [_checked(key, Setting("api_key")) for key in given]
    if file is not None:
        keys += _keys_of(file)
    return tuple(dict.fromkeys(keys))


def _keys_of(file: str) -> list[str]:
    source = Setting("api_key_file", file)
    try:
        text = Path(file).expanduser().read_text("utf-8-sig")
    except UnicodeDecodeError:
        raise DeployError(source, " must be UTF-8 text with one key per line") from None
    except (OSError, ValueError) as error:
        raise DeployError(source, f" cannot be read: {getattr(error, 'strerror', None) or error}") from None
    lines = [(number, line) for number, line in enumerate(text.splitlines(), 1) if line.strip()]
    if not lines:
        raise DeployError(
            source, " contains no key: write one per line, or leave the option out to accept every request"
        )
    return [_checked(line, source, f", line {number},") for number, line in lines]


def _checked(text: str, *source: Part) -> str:
    """The key without the white space around it."""
    key = text.strip()
    if not key:
        raise DeployError(*source, " must not be empty: leave it out to accept every request")
    if not key.isprintable() or any(character.isspace() for character in key):
        raise DeployError(*source, " must be one word: the key contains white space or a control character")
    return key
