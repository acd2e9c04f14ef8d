"""`python -m bench selftest`: the options of a self-test, and what is printed of it."""

from __future__ import annotations

from typing import Any

import click

from bench.cli import values
from bench.cli.option_sections import SectionedCommand, section, version_option
from bench.cli.output_files import check_json
from streamgauge.option_sections import CONTEXT

scope, output = map(section, ("Scope", "Output"))

_EPILOG = "Exit codes: 0 every shape was measured correctly, 1 at least one was not, 2 wrong use, 130 interrupted."


@click.command(cls=SectionedCommand, context_settings=CONTEXT, epilog=_EPILOG)
@scope("--shapes", metavar="LIST", type=values.shapes, help="Test only these shapes of answers.  [default: all]")
@scope(
    "--shape-duration",
    metavar="TIME",
    type=values.duration,
    default="1.2s",
    help="How long to run each shape.  [default: 1.2s]",
)
@scope(
    "--load-duration",
    metavar="TIME",
    type=values.duration,
    default="5s",
    help="How long to run each load.  [default: 5s]",
)
@scope(
    "--most-streams",
    metavar="N",
    type=values.count(0),
    default=8192,
    help="Largest load to try for the certificate, in streams; 0 tries none.  [default: 8192]",
)
@output(
    "--result-dir",
    metavar="DIR",
    type=values.path,
    default="runs",
    show_default=True,
    help="Where to keep the certificate, beside the runs.",
)
@output(
    "--json",
    "json_path",
    metavar="PATH",
    type=values.path,
    help="Write all figures as JSON; - is standard output.",
)
@version_option
def selftest(**options: Any) -> int:
    """Measure the bench itself: load a server that logs what it does, and show how far off each figure is.

    The self-test first runs every shape of answer, then growing loads. The largest load that this machine measures
    within 0.5 ms at p50 and 2 ms at p99 (gaps: 0.3 ms) becomes its certificate. Reports of larger loads say so.
    """
    from bench.cli.runner import run_selftest
    from bench.truth.script import SHAPES
    from bench.truth.selftest import Scope

    check_json(options["json_path"])
    wanted = Scope(
        options["shapes"] or tuple(SHAPES),
        options["shape_duration"],
        options["load_duration"],
        options["most_streams"],
    )
    return run_selftest(wanted, options["result_dir"], options["json_path"])
