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
@output(
    "--goodput",
    metavar="SLO…",
    multiple=True,
    callback=values.goodput_option,
    help="Count requests that meet all of these, in ms: ttft:200 tpot:50 e2e:5000.  [default: the run's]",
)
@output("--strict", is_flag=True, help="Exit code 1 when the verdict is not trusted.")
def report(
    run: Path,
    json_path: Path | None,
    rows: tuple[str, ...] | None,
    percentiles: tuple[float, ...] | None,
    goodput: dict[str, float],
    strict: bool,
) -> int:
    """Compute the report of RUN, the folder of a run, from its records and print it."""
    from bench.cli.printing import print_result
    from bench.restore import restore
    from bench.results import ResultError, load_run
    from bench.spool import read_chunks
    from bench.summary import summarize

    try:
        facts, columns, moments = load_run(run)
        if facts.ended_ns is None:
            restore(columns, read_chunks(moments))
    except ResultError as error:
        raise UsageError(str(error)) from None
    if rows is not None:
        facts.view.rows = rows
    if percentiles is not None:
        facts.view.percentiles = percentiles
    if goodput:
        facts.view.goodput = goodput
    result = summarize(facts, columns, lambda: read_chunks(moments))
    print_result(result, facts.view, run, json_path)
    return int(strict and result.verdict.level != "trusted")
