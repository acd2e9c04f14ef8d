"""`python -m bench`: the options of a load test, and how they become its settings."""

from __future__ import annotations

import os
from typing import Any

import click

from bench.answer_limits import DEFAULT_DRAIN_TIMEOUT_S
from bench.cli import values
from bench.cli.config_file import use_config
from bench.cli.option_rules import read_settings
from bench.cli.option_sections import SectionedCommand, section, version_option
from bench.cli.option_sources import settle, with_source
from bench.cli.output_options import writing_options
from bench.cli.vllm_options import BACKENDS
from bench.load.outage import DEFAULT_GIVE_UP_AFTER_S
from bench.load.settings import (
    API_KEY_VARIABLE,
    DEFAULT_OUTPUT_LEN,
    DEFAULT_SEED,
    DEFAULT_STREAMS,
    LoadSettings,
    UsageError,
)
from bench.records.run import DEFAULT_PERCENTILES, DEFAULT_ROWS
from bench.units import format_duration
from bench.workload.arrivals import PROCESSES
from streamgauge.option_sections import CONTEXT

_EPILOG = "Recomputing a report from its records: PROGRAM report RUN. Exit codes: 0 done, 1 some or all \
requests failed or --strict and not trusted, 2 wrong use or a server that cannot be measured as asked, 130 interrupted \
(results are kept)."

server, load, requests, limits, output = map(section, ("Server", "Load", "Requests", "Time limits", "Output"))


@click.command(cls=SectionedCommand, context_settings=CONTEXT, epilog=_EPILOG)
@server(
    "--base-url",
    metavar="URL",
    type=values.text,
    help="Server to measure, with or without /v1. Without one, a server is started.",
)
@server("--host", metavar="NAME", help="The same as a host name and --port.")
@server("--port", metavar="N", type=values.count(1, 65535), help="Port of --host.  [default: 8000]")
@server(
    "--model",
    metavar="NAME",
    type=values.text,
    help="Model or adapter to ask; with --engine, to serve.  [default: the first one]",
)
@server(
    "--served-model-name",
    metavar="NAME",
    type=values.text,
    help="The name of --model in the API, if it is another one.",
)
@server(
    "--endpoint",
    metavar="NAME",
    type=values.endpoint,
    help="chat, completions, or the path of either.  [default: by the model]",
)
@server(
    "--backend",
    metavar="NAME",
    type=values.one_of(*BACKENDS),
    help="vllm, openai (completions) or openai-chat, as vllm bench serve has it.",
)
@server("--api-key", metavar="KEY", help=f"Sent as bearer token, never printed.  [default: ${API_KEY_VARIABLE}]")
@server("--api-key-file", metavar="FILE", type=values.path, help="File that holds the key instead.")
@server(
    "--header",
    "headers",
    metavar="NAME=VALUE…",
    multiple=True,
    callback=values.headers_option,
    help="Sent with every request, its value never printed; 'Name: value' does as well.",
)
@server(
    "--engine",
    metavar="NAME",
    type=values.text,
    help="Engine of the server that is started: sim, scripted, vllm.  [default: sim]",
)
@server("--model-id-or-path", metavar="ID|DIR", help="Real model that it serves, by poller id or folder.")
@server("--model-type", metavar="NAME", help="The same by type: qwen-7b-chat, smollm2-135m-instruct …")
@server("--ckpt-dir", metavar="DIR", help="The same by a fine-tuned model or an adapter.")
@server("--server-profile", metavar="NAME", help="Speed of its simulated engine: demo, instant, …")
@server("--server-args", metavar="TEXT", help="More of its options, as python -m mock_server --help lists them.")
@load(
    "--concurrency",
    "--max-concurrency",
    "streams",
    metavar="N",
    type=values.count(),
    help=f"Streams kept open at once; with a rate, the most at once.  [default: {DEFAULT_STREAMS}; none with a rate]",
)
@load("--duration", metavar="TIME", type=values.duration, help="Send for so long: 15, 15s, 500ms, 2m.  [default: 15s]")
@load(
    "--num-requests",
    "--num-prompts",
    "num_requests",
    metavar="N",
    type=values.count(),
    help="Send so many requests, instead or at most.",
)
@load(
    "--warmup",
    "--num-warmups",
    "warmup",
    metavar="N",
    type=values.count(0),
    help="Short requests before the load.  [default: one a stream]",
)
@load(
    "--request-rate",
    metavar="R",
    type=values.request_rate,
    help="Send R requests a second, whatever becomes of them.  [default: inf, a closed loop]",
)
@load(
    "--arrivals",
    metavar="NAME",
    type=values.one_of(*PROCESSES),
    help=f"How the rate's requests are spread: {', '.join(PROCESSES)} (--burstiness).  [default: poisson]",
)
@load(
    "--burstiness",
    metavar="X",
    type=values.burstiness,
    help="Shape of gamma arrivals: under 1 they bunch, 1 is poisson, inf is constant.",
)
@load(
    "--seed",
    metavar="N",
    type=values.count(0, 2**63 - 1),
    default=DEFAULT_SEED,
    show_default=True,
    help="Order and make of the prompts.",
)
@requests(
    "--prompts",
    "--dataset-path",
    "prompts",
    metavar="FILE",
    type=values.path,
    help="JSON lines with prompt or messages, and output_len if wanted.  [default: 48 built-in questions]",
)
@requests(
    "--input-len",
    "--random-input-len",
    "input_len",
    metavar="N",
    type=values.count(most=2_000_000),
    help="Synthetic prompts of N tokens instead.",
)
@requests(
    "--output-len",
    "--random-output-len",
    "output_len",
    metavar="N",
    type=values.count(),
    help=f"Tokens of each answer.  [default: {DEFAULT_OUTPUT_LEN}]",
)
@requests(
    "--stream/--no-stream",
    default=True,
    help="Ask for answers as streams, or in one piece (then there is no TTFT).  [default: as streams]",
)
@requests(
    "--ignore-eos/--no-ignore-eos",
    default=None,
    help="Make answers that long, or let the model end them.  [default: that long]",
)
@requests(
    "--dataset-name",
    metavar="NAME",
    type=values.one_of("random", "custom"),
    help="random (synthetic) or custom (--dataset-path), as vllm bench serve has it.",
)
@requests(
    "--cache",
    metavar="NAME",
    type=values.one_of("bust", "keep"),
    default="bust",
    show_default=True,
    help="bust: every prompt begins anew, so that no prefix cache answers. keep: as written.",
)
@requests("--temperature", metavar="X", type=values.number(0), help="Sampling temperature.  [default: the server's]")
@requests("--top-p", metavar="X", type=values.number(0, 1), help="Nucleus sampling.  [default: the server's]")
@requests("--top-k", metavar="N", type=values.count(-1), help="The likeliest N tokens.  [default: the server's]")
@requests("--min-p", metavar="X", type=values.number(0, 1), help="Least probability.  [default: the server's]")
@requests("--extra-body", metavar="JSON", type=values.json_object, help="Fields added to each request, as they are.")
@limits("--timeout", metavar="TIME", type=values.duration, help="A request in all.  [default: 30m]")
@limits("--connect-timeout", metavar="TIME", type=values.duration, help="A connection.  [default: 5s]")
@limits(
    "--first-byte-timeout",
    metavar="TIME",
    type=values.duration,
    help="From the request to the answer's first byte.  [default: none]",
)
@limits("--stall-timeout", metavar="TIME", type=values.duration, help="From one token to the next.  [default: none]")
@limits(
    "--give-up-after",
    metavar="TIME",
    type=values.duration,
    help="How long to go on when nothing answers at all; a server may restart meanwhile.  "
    f"[default: {DEFAULT_GIVE_UP_AFTER_S:g}s]",
)
@limits(
    "--drain-timeout",
    metavar="TIME",
    type=values.duration,
    help="After the load: how long to wait while no answer brings a token.  "
    f"[default: {format_duration(DEFAULT_DRAIN_TIMEOUT_S)}]",
)
@writing_options
@output(
    "--percentile-metrics",
    "rows",
    metavar="LIST",
    type=values.rows,
    help=f"Rows of the table: {', '.join(values.ROWS)}.  [default: {','.join(DEFAULT_ROWS)}]",
)
@output(
    "--metric-percentiles",
    "percentiles",
    metavar="LIST",
    type=values.percentiles,
    help=f"Columns of the table.  [default: {','.join(f'{p:g}' for p in DEFAULT_PERCENTILES)}]",
)
@output(
    "--goodput",
    metavar="SLO…",
    multiple=True,
    callback=values.goodput_option,
    help="Count requests that meet all of these, in ms: ttft:200 tpot:50 e2e:5000.",
)
@output("--strict", is_flag=True, help="Exit code 1 when the verdict is not trusted.")
@output("--no-live", "--disable-tqdm", "no_live", is_flag=True, help="No live view.")
@click.option(
    "--config",
    metavar="FILE",
    type=values.path,
    is_eager=True,
    callback=use_config,
    help="YAML file of these options, such as concurrency: 64. What is typed goes first.",
)
@version_option
def load_test(**options: Any) -> LoadSettings:
    """Measure how fast a language-model server answers, with figures that can be believed.

    Keeps --concurrency streams open for --duration, and reports TTFT, ITL, TPOT, E2E and throughput, with the checks
    that say how far they can be trusted. Without a server it starts one: simulated, or over a real model.
    """
    ctx = click.get_current_context()
    settled, config = settle(ctx, options)
    try:
        return read_settings(settled, os.environ, ctx.obj, config)
    except UsageError as error:
        raise UsageError(with_source(str(error), ctx)) from None
