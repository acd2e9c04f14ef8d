"""Where a result goes: the report to the terminal, other forms to standard output or their files."""

from __future__ import annotations

import sys
from pathlib import Path
from typing import Any

import click
from msgspec import Struct, json

from bench.cli.program import program_name
from bench.flow import Moments
from bench.record import Columns
from bench.report.console import render
from bench.report.markdown import render_markdown
from bench.report.spreadsheet import render_csv
from bench.report.vllm import default_filename, vllm_result, vllm_text, without_details
from bench.result import Result
from bench.results import RESULT, to_json, write_bytes, write_json
from bench.run import Run
from bench.settings import STDOUT, Output, UsageError
from bench.terminal import columns_of, say


def present(result: Result, run: Run, columns: Columns, moments: Moments, output: Output, folder: Path | None) -> None:
    """Print the report in the form that was asked for, and write the files. Raises UsageError where one cannot be.

    With `--json -` the JSON has standard output to itself.
    """
    as_vllm = vllm_result(run, columns, moments) if output.save_result or output.format == "vllm" else {}
    stream = sys.stderr if output.json == STDOUT else sys.stdout
    if output.format == "console":
        has_file = folder is not None and (folder / RESULT).exists()
        shown = render(result, run.view, folder, width=columns_of(stream), program=program_name(), has_file=has_file)
        say(shown, stream)
    else:
        forms = {
            "markdown": lambda: render_markdown(result, run.view),
            "csv": lambda: render_csv(result),
            "json": lambda: to_json(result).decode(),
            "vllm": lambda: vllm_text(as_vllm),
        }
        click.echo(forms[output.format](), file=stream, nl=False)  # as it is: no styles in any of them
    if output.json is not None:
        write_out(result, output.json)
    if output.save_result:
        _save_as_vllm(as_vllm, output)


def _save_as_vllm(result: dict[str, Any], output: Output) -> None:
    path = output.save_dir / (output.result_filename or default_filename(result, result["backend"]))
    content = json.encode(result if output.save_detailed else without_details(result))
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        write_bytes(path, content + b"\n")
    except OSError as error:
        raise UsageError(f"--save-result: {path} cannot be written ({error.strerror})") from None


def write_out(content: Struct, path: Path) -> None:
    """Write JSON to a file, or to standard output for `-`. Raises UsageError when the file cannot be written."""
    if path == STDOUT:
        click.echo(to_json(content).decode(), nl=False)
        return
    try:
        write_json(path, content)
    except OSError as error:
        raise UsageError(f"--json {path}: cannot be written ({error.strerror})") from None
