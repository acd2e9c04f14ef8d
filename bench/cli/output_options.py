"""The options for what is printed and written, shared by `python -m bench` and its `report`."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, TypeVar

from bench.cli import values
from bench.cli.option_sections import section
from bench.report.formats import FORMATS, listed_formats

_Function = TypeVar("_Function", bound=Callable[..., Any])

_option = section("Output")
_OPTIONS = (
    _option(
        "--format",
        metavar="NAME",
        type=values.one_of(*FORMATS),
        default="console",
        show_default=True,
        help=f"What to print: {listed_formats()}.",
    ),
    _option(
        "--json",
        "json_path",
        metavar="PATH",
        type=values.path,
        help="Write the result as JSON; - is standard output.",
    ),
    _option("--save-result", is_flag=True, help="Write a file with the keys and definitions of vllm bench serve."),
    _option("--save-detailed", is_flag=True, help="The same, with the details of each request."),
    _option(
        "--result-filename",
        metavar="PATH",
        help="Name or path of that file, relative to --result-dir if given.  [default: as vllm bench serve names it]",
    ),
    _option(
        "--result-dir",
        metavar="DIR",
        type=values.path,
        help="Where to create each run's folder and that file.  [default: runs; that file goes to the current folder]",
    ),
)


def writing_options(command: _Function) -> _Function:
    """Add these options to a command."""
    for option in reversed(_OPTIONS):
        command = option(command)
    return command
