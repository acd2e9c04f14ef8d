"""Where the server's API keys come from: options, a file, or the environment. No message ever contains one."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path

from mock_server.commands.wrong_use import DeployError
from mock_server.engine.wording import Part, Setting

VARIABLE = "STREAMGAUGE_API_KEY"


def read_keys(given: Sequence[str], file: str | None, environ: Mapping[str, str]) -> tuple[str, ...]:
    """Keys of options and of the file together; the variable's key where there is neither. Raises `DeployError`."""
    if not given and file is None:
        if VARIABLE not in environ:
            return ()
        if not environ[VARIABLE].strip():  # a secret that was not filled in must not open the server
            raise DeployError(f"{VARIABLE} is set but empty: give it a key, or unset it to let everyone call")
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
        raise DeployError(source, " must be text in UTF-8, one key a line") from None
    except (OSError, ValueError) as error:
        raise DeployError(source, f" cannot be read: {getattr(error, 'strerror', None) or error}") from None
    lines = [(number, line) for number, line in enumerate(text.splitlines(), 1) if line.strip()]
    if not lines:
        raise DeployError(source, " holds no key; write one a line, or leave the option out to let everyone call")
    return [_checked(line, source, f", line {number},") for number, line in lines]


def _checked(text: str, *source: Part) -> str:
    """The key without the white space around it."""
    key = text.strip()
    if not key:
        raise DeployError(*source, " must not be empty; leave it out to let everyone call")
    if not key.isprintable() or any(character.isspace() for character in key):
        raise DeployError(*source, " must be one word: there is white space or a control character in the key")
    return key
