"""The sampling settings of a chat, as the user types them: `temperature=0.7 max_tokens=200`. Pure."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from typing import Any

from sdk import ConfigError, XRequestConfig
from streamgauge.nearest import did_you_mean

NAMES = (
    "temperature", "top_p", "top_k", "min_p", "max_tokens", "seed", "stop",
    "repetition_penalty", "presence_penalty", "frequency_penalty",
)  # fmt: skip
_ALIASES = {"max_new_tokens": "max_tokens", "max-tokens": "max_tokens"}
_UNSET = ("default", "none", "")


class SettingError(ValueError):
    """A setting cannot be changed so. One line: the setting, the value, the remedy."""


class Settings:
    """What a request sets; what is not set has the default of the server."""

    def __init__(self, fields: Mapping[str, Any]) -> None:
        """Raises `SettingError`."""
        self._fields: dict[str, Any] = {}
        for name, value in fields.items():
            self._set(name, value)

    def change(self, words: Sequence[str]) -> None:
        """All of them, or none. Raises `SettingError`."""
        before = dict(self._fields)
        try:
            for word in words:
                self._change(word)
        except SettingError:
            self._fields = before
            raise

    def _change(self, word: str) -> None:
        said, equals, text = word.partition("=")
        name = _ALIASES.get(said, said.replace("-", "_"))
        if name not in NAMES:
            raise SettingError(f"{said} is not a setting; there are: {', '.join(NAMES)}.{did_you_mean(said, NAMES)}")
        if not equals:
            raise SettingError(f"{said} has no value: write {said}=VALUE, or {said}=default")
        if text.lower() in _UNSET:
            self._fields.pop(name, None)
        else:
            self._set(name, text if name == "stop" else _number(name, text))

    def _set(self, name: str, value: Any) -> None:
        try:
            XRequestConfig(**{name: value})
        except ConfigError as error:
            raise SettingError(str(error).removeprefix("XRequestConfig.")) from None
        self._fields[name] = value

    def request(self) -> dict[str, Any]:
        """The fields of a request."""
        return dict(self._fields)

    def __str__(self) -> str:
        return " ".join(f"{name}={_shown(value)}" for name, value in self._fields.items()) or "all settings are default"


def _number(name: str, text: str) -> int | float:
    try:
        return int(text)
    except ValueError:
        pass
    try:
        return float(text)
    except ValueError:
        raise SettingError(f"{name}={text} is not a number") from None


def _shown(value: Any) -> str:
    return value if isinstance(value, str) else json.dumps(value, ensure_ascii=False)
