"""Where a result goes: the report to the terminal, the JSON to its file."""

from __future__ import annotations

import shutil
import sys
from pathlib import Path

import click
from msgspec import Struct

from bench.report.console import WIDTH, render
from bench.result import Result
from bench.results import to_json, write_json
from bench.run import View
from bench.settings import UsageError

STDOUT = Path("-")


def print_result(result: Result, view: View, folder: Path | None, json_path: Path | None) -> None:
    """Print the report, and write the JSON where asked. With `-` the JSON has standard output to itself.

    Raises UsageError when the file cannot be written.
    """
    stream = sys.stderr if json_path == STDOUT else sys.stdout
    width = shutil.get_terminal_size().columns if stream.isatty() else WIDTH
    click.echo(render(result, view, folder, width), file=stream)
    if json_path is not None:
        write_out(result, json_path)


def write_out(content: Struct, path: Path) -> None:
    """Write JSON to a file, or to standard output for `-`. Raises UsageError when the file cannot be written."""
    if path == STDOUT:
        click.echo(to_json(content).decode(), nl=False)
        return
    try:
        write_json(path, content)
    except OSError as error:
        raise UsageError(f"--json {path}: cannot be written ({error.strerror})") from None
