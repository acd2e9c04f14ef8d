"""Prints the report of a run and writes its files."""

from __future__ import annotations

import contextlib
import sys
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any, TextIO

import click
from msgspec import Struct, json

from bench.cli.program import program_name
from bench.figures.token_flow import Moments
from bench.load.settings import STDOUT, Output, OutputError
from bench.records.record import Columns
from bench.records.result import Result
from bench.records.run import Run
from bench.records.run_folder import to_json, write_bytes, write_json
from bench.report.formats import FORMATS
from bench.report.material import Material
from bench.report.vllm import default_filename, result_of, without_details
from bench.shown_text import escaped_json
from bench.terminal import columns_of, say


def present(result: Result, run: Run, columns: Columns, moments: Moments, output: Output, folder: Path | None) -> None:
    """Print the report in the requested format, and write the files.

    With `--json -`, only the JSON goes to standard output. If one output fails, the others are written all the same;
    then OutputError is raised, or BrokenPipeError if the reader of a pipe has gone.
    """
    stream = sys.stderr if output.json == STDOUT else sys.stdout
    material = Material(result, run, columns, moments, folder, columns_of(stream), program_name())
    form = FORMATS[output.format]
    steps: list[Callable[[], None]] = [lambda: print_text(form.show(material), stream, has_styles=form.has_styles)]
    if (path := output.json) is not None:
        steps.append(lambda: write_out(result, path))
    if output.save_result:
        steps.append(lambda: _save_as_vllm(material.once(result_of), output))
    failures: list[Exception] = []
    for step in steps:
        try:
            step()
        except (OutputError, BrokenPipeError) as error:
            failures.append(error)
    said = [str(error) for error in failures if isinstance(error, OutputError)]
    if said:
        raise OutputError("; ".join(said))
    if failures:
        raise failures[0]


def print_text(text: str, stream: TextIO, *, has_styles: bool) -> None:
    """Print a report. Raises OutputError, or BrokenPipeError if the reader of a pipe has gone."""
    with _standard_stream():
        if has_styles:
            say(text, stream)
        else:
            click.echo(text, file=stream, nl=False)


def _save_as_vllm(result: dict[str, Any], output: Output) -> None:
    path = output.save_dir / (output.result_filename or default_filename(result, result["backend"]))
    content = json.encode(result if output.save_detailed else without_details(result))
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        write_bytes(path, escaped_json(content.decode()).encode() + b"\n")
    except OSError as error:
        raise OutputError(f"--save-result: {path} cannot be written ({error.strerror})") from None


def write_out(content: Struct, path: Path) -> None:
    """Write JSON to a file, or to standard output for `-`. Raises OutputError if it cannot be written."""
    if path == STDOUT:
        with _standard_stream():
            click.echo(to_json(content).decode(), nl=False)
        return
    try:
        write_json(path, content)
    except OSError as error:
        raise OutputError(f"--json {path}: cannot be written ({error.strerror})") from None


@contextlib.contextmanager
def _standard_stream() -> Iterator[None]:
    """Wraps writing to standard output or standard error. Raises OutputError or BrokenPipeError."""
    try:
        yield
    except BrokenPipeError:
        raise
    except OSError as error:
        raise OutputError(f"the report cannot be printed ({error.strerror})") from None
