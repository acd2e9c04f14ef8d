"""Options that cannot be followed: one line that names them, where they stand and the remedy."""

from __future__ import annotations

import click


class DeployError(ValueError):
    """The options do not go together; the message names them and the remedy."""


class WrongUseError(click.ClickException):
    """Printed without the usage, which would not help."""

    exit_code = 2
