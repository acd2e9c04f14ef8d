"""Options that cannot be followed: one line that names them, where they stand and the remedy."""

from __future__ import annotations

from collections.abc import Collection

import click

from mock_server.engine.wording import Part, WordedError


class DeployError(WordedError, ValueError):
    """The options do not go together; the message names them and the remedy.

    `about` are the options in parts of the message that come from elsewhere.
    """

    def __init__(self, *parts: Part, about: Collection[str] = ()) -> None:
        super().__init__(*parts)
        self.about = frozenset(about)

    @property
    def settings(self) -> frozenset[str]:
        return super().settings | self.about


class WrongUseError(click.ClickException):
    """Printed without the usage, which would not help."""

    exit_code = 2
