"""`python -m bench report RUN`: the report of a run again, computed from its records."""

from __future__ import annotations

from pathlib import Path

import click

from bench.cli import values
from bench.cli.grouped import CONTEXT, SectionedCommand, section
from bench.settings import UsageError

output = section("Output")


@click.command(cls=SectionedCommand, context_settings=CONTEXT)
@click.argument("run", type=click.Path(path_type=Path))
@output(
    "--json",
    "json_path",
    metavar="PATH",
    type=click.Path(path_type=Path),
    help="Write the result as JSON; - is standard output.",
)
@output(
    "--percentile-metrics", "rows", metavar="LIST", type=values.rows, help="Rows of the table.  [default: the run's]"
)
@output(
    "--metric-percentiles",
    "percentiles",
    metavar="LIST",
    type=values.percentiles,
    help="Columns of the table.  [default: the run's]",
)
def report(
    run: Path, json_path: Path | None, rows: tuple[str, ...] | None, percentiles: tuple[float, ...] | None
) -> int:
    """Compute the report of RUN, the folder of a run, from its records and print it."""
    from bench.cli.printing import print_result
    from bench.results import ResultError, load_run
    from bench.summary import summarize

    try:
        facts, columns = load_run(run)
    except ResultError as error:
        raise UsageError(str(error)) from None
    if rows is not None:
        facts.view.rows = rows
    if percentiles is not None:
        facts.view.percentiles = percentiles
    print_result(summarize(facts, columns), facts.view, run, json_path)
    return 0
