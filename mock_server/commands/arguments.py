"""The forms that options are given in: `-` and `_` alike, several values after one option, `--flag true`."""

from collections.abc import Callable, Collection, Sequence
from typing import Any, TypeVar

import click

_F = TypeVar("_F", bound=Callable[..., Any])


def dashed(name: str) -> str:
    """An option's or command's name as it is known here."""
    return name.replace("_", "-")


def repeat_option(args: Sequence[str], options: Collection[str]) -> list[str]:
    """`--x a b` as `--x a --x b`, for the options that take several values."""
    expanded: list[str] = []
    current: str | None = None
    takes_more = False
    for arg in args:
        if arg.startswith("--"):
            name = dashed(arg.split("=")[0])
            current = name if name in options else None
            takes_more = "=" in arg
        elif current is not None and not arg.startswith("-"):
            if takes_more:
                expanded.append(current)
            takes_more = True
        expanded.append(arg)
    return expanded


class SeveralValuesCommand(click.Command):
    """A command whose `multiple` options also take their values in a row."""

    def parse_args(self, ctx: click.Context, args: list[str]) -> list[str]:
        options = {
            dashed(name)
            for param in self.params
            if isinstance(param, click.Option) and param.multiple
            for name in param.opts
        }
        return super().parse_args(ctx, repeat_option(args, options))


def boolean(name: str, *, help: str, default: bool = False) -> Callable[[_F], _F]:
    """An option that is true when it stands alone, and takes `true` or `false` after it."""
    return click.option(name, type=bool, is_flag=False, flag_value=True, default=default, show_default=True, help=help)
