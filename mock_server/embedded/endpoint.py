"""An API that a command talks to: that of a server in this process, or of one that runs elsewhere."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import Any


@dataclass(frozen=True, slots=True)
class Endpoint:
    """Leave what is None out of the client's arguments."""

    base_url: str | None
    api_key: str | None
    model: str | None
    """Who answers; None: the server's first model."""
    system: str | None = None
    """The system message of conversations that have none. The caller sends it."""
    request_fields: Mapping[str, Any] = field(default_factory=dict)
    """What every request sets unless the user changes it, under the names of the API."""
    check: Callable[[], None] = lambda: None
    """Raises `EngineDeadError` if a model in this process has died, whose requests then fail for that reason."""

    def client_options(self) -> dict[str, Any]:
        """The keyword arguments of a client of this API."""
        named = {"base_url": self.base_url, "api_key": self.api_key}
        return {name: value for name, value in named.items() if value is not None}
