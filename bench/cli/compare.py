"""`python -m bench compare BEFORE AFTER`: whether two sides differ, and by how much."""

from __future__ import annotations

import sys
from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING, Any, TypeVar

import click

from bench.cli import values
from bench.cli.exits import FAILED, OK
from bench.cli.option_sections import SectionedCommand, section, version_option
from bench.cli.output_files import check_json
from bench.load.settings import STDOUT, UsageError
from streamgauge.option_sections import CONTEXT

if TYPE_CHECKING:
    from bench.compare.comparison import RecordedRun

comparing, output = map(section, ("Comparison", "Output"))

_EPILOG = "Exit codes: 0 done, 1 a limit of --fail-if is exceeded or could not be judged, 2 wrong use. \
docs/comparing.md explains the intervals and the conclusions."

_Read = TypeVar("_Read")


@click.command(cls=SectionedCommand, context_settings=CONTEXT, epilog=_EPILOG)
@click.argument("before", type=values.path)
@click.argument("after", type=values.path)
@comparing(
    "--figures",
    metavar="LIST",
    help="What to compare: ttft_p99, itl_mean, e2e_p99.9, output_tokens_per_s …  [default: the usual nine]",
)
@comparing(
    "--fail-if",
    metavar="LIMIT…",
    multiple=True,
    help="Exit with code 1 if a change is surely beyond a limit, such as 'ttft_p99>+5%' or 'requests_per_s<-3%'.",
)
@comparing(
    "--threshold",
    metavar="PERCENT",
    type=values.number(0, 100),
    default=1.0,
    show_default=True,
    help="The smallest change that matters in practice.",
)
@comparing(
    "--allow",
    metavar="LIST",
    help="Options in which the plans of the two sides may differ, such as concurrency.  [default: none]",
)
@output(
    "--format",
    "form",
    metavar="NAME",
    type=values.one_of("console", "markdown", "json"),
    default="console",
    show_default=True,
    help="What to print: console, markdown (for a pull request), json.",
)
@output(
    "--json", "json_path", metavar="PATH", type=values.path, help="Write the comparison as JSON; - is standard output."
)
@version_option
def compare(before: Path, after: Path, **options: Any) -> int:
    """Compare the runs in BEFORE with those in AFTER: each is the folder of a run, or a folder of such folders.

    Each figure gets its change with a 95 % interval and a conclusion. Measure several runs on each side, best in turns:
    they show how much runs differ by themselves. Of a single run, only what varies within it is known.
    """
    from bench.cli.output import print_text, write_out
    from bench.compare.comparison import compare as compare_sides
    from bench.compare.gate import read_gate
    from bench.compare.quantity import DEFAULT_QUANTITIES, read_quantity
    from bench.records.run_folder import to_json
    from bench.report.comparison import render, render_markdown
    from bench.terminal import columns_of
    from streamgauge.version import version_line

    check_json(options["json_path"])
    names = [name for name in (options["figures"] or "").split(",") if name.strip()]
    quantities = [_read(read_quantity, name, "figures") for name in names] or DEFAULT_QUANTITIES
    gates = [_read(read_gate, text, "fail-if") for text in options["fail_if"]]
    first, second = _side(before), _side(after)
    notes = _check_plans([*first, *second], _allowed(options["allow"]))
    found = compare_sides(
        first, second, quantities, gates, threshold=options["threshold"] / 100, notes=notes, tool=version_line()
    )
    stream = sys.stderr if options["json_path"] == STDOUT else sys.stdout
    if options["form"] == "console":
        print_text(render(found, columns_of(stream)), stream, has_styles=True)
    else:
        text = render_markdown(found) if options["form"] == "markdown" else to_json(found).decode()
        print_text(text, stream, has_styles=False)
    if options["json_path"] is not None:
        write_out(found, options["json_path"])
    return FAILED if found.has_failed else OK


def _read(read: Callable[[str], _Read], text: str, option: str) -> _Read:
    try:
        return read(text)
    except ValueError as error:
        raise UsageError(f"--{option} {error}", option.replace("-", "_")) from None


def _allowed(listed: str | None) -> set[str]:
    """The options of `--allow`, as `unlike` has them. Raises UsageError."""
    from bench.compare.unlike import MAY_DIFFER

    names = {name.strip().removeprefix("--") for name in (listed or "").split(",") if name.strip()}
    for name in sorted(names - {*MAY_DIFFER}):
        raise UsageError(f"--allow must name options: {', '.join(MAY_DIFFER)} (got {name!r})", "allow")
    return {f"--{name}" for name in names}


def _side(path: Path) -> list[RecordedRun]:
    """The runs of one side. Raises UsageError."""
    from bench.cli.recorded_run import read_run, run_folders
    from bench.compare.comparison import RecordedRun

    runs = []
    for folder in run_folders(path):
        facts, columns, moments, _ = read_run(folder)
        runs.append(RecordedRun(str(folder), facts, columns, moments))
    return runs


def _check_plans(runs: list[RecordedRun], allowed: set[str]) -> list[str]:
    """Notes on options that differ and may. Raises UsageError if others differ."""
    from bench.compare.unlike import unlike

    different = unlike([each.run for each in runs])
    for option, found in different.items():
        if option not in allowed:
            listed = " and ".join(found[:2])
            raise UsageError(
                f"the runs are not alike: {option} differs ({listed}); compare runs of the same load, "
                f"or give --allow {option.removeprefix('--')}"
            )
    return [f"{option} differs: {' and '.join(found)}" for option, found in different.items()]
