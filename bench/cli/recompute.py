"""`python -m bench report RUN`: the report of a run again, computed from its records."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import click

from bench.cli import values
from bench.cli.option_rules import read_output
from bench.cli.option_sections import SectionedCommand, section, version_option
from bench.cli.output_options import writing_options
from streamgauge.option_sections import CONTEXT

output = section("Output")


@click.command(cls=SectionedCommand, context_settings=CONTEXT)
@click.argument("run", type=values.path)
@writing_options
@output(
    "--percentile-metrics",
    "rows",
    metavar="LIST",
    type=values.rows,
    help="Rows of the table of latencies.  [default: the run's]",
)
@output(
    "--metric-percentiles",
    "percentiles",
    metavar="LIST",
    type=values.percentiles,
    help="Columns of that table: the percentiles.  [default: the run's]",
)
@output(
    "--goodput",
    metavar="SLO…",
    multiple=True,
    callback=values.goodput_option,
    help="Count requests that meet all of these limits, in ms: ttft:200 tpot:50 e2e:5000.  [default: the run's]",
)
@output("--strict", is_flag=True, help="Exit with code 1 if the verdict is not trusted.")
@version_option
def report(run: Path, **options: Any) -> int:
    """Compute a report from the records in RUN, the folder of a run, and print it."""
    from bench.cli.output import present
    from bench.cli.recorded_run import read_run
    from bench.summary import summarize

    wanted = read_output(options)
    facts, columns, moments, folder = read_run(run)
    for name in ("rows", "percentiles", "goodput"):
        if options[name]:
            setattr(facts.view, name, options[name])
    result = summarize(facts, columns, moments)
    present(result, facts, columns, moments, wanted, folder)
    return int(options["strict"] and result.verdict.level != "trusted")
