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

_EPILOG = "To recompute a report from the records of a run, use PROGRAM report RUN. Exit codes: 0 done, 1 some or all \
requests failed or --strict is given and the verdict is not trusted, 2 wrong use or a server that cannot be measured \
as requested, 130 interrupted (results are kept)."

server, load, requests, limits, output = map(section, ("Server", "Load", "Requests", "Time limits", "Output"))


@click.command(cls=SectionedCommand, context_settings=CONTEXT, epilog=_EPILOG)
@server(
    "--base-url",
    metavar="URL",
    type=values.text,
    help="Server to measure, with or without /v1.  [default: $OPENAI_BASE_URL, else a server that the bench starts]",
)
@server("--host", metavar="NAME", help="Host name of the server, instead of --base-url.")
@server("--port", metavar="N", type=values.count(1, 65535), help="Port of the server on --host.  [default: 8000]")
@server(
    "--model",
    metavar="NAME",
    type=values.text,
    help="Model or adapter to request; with --engine, the model to serve.  [default: the first that the server lists]",
)
@server(
    "--served-model-name",
    metavar="NAME",
    type=values.text,
    help="Name of the model in the API, if it differs from --model.",
)
@server(
    "--endpoint",
    metavar="NAME",
    type=values.endpoint,
    help="chat, completions, or the path of either.  [default: depends on the model]",
)
@server(
    "--backend",
    metavar="NAME",
    type=values.one_of(*BACKENDS),
    help="vllm, openai (completions) or openai-chat, as in vllm bench serve.",
)
@server(
    "--api-key", metavar="KEY", help=f"Key to send as the bearer token; never printed.  [default: ${API_KEY_VARIABLE}]"
)
@server("--api-key-file", metavar="FILE", type=values.path, help="File that contains only the key.")
@server(
    "--header",
    "headers",
    metavar="NAME=VALUE…",
    multiple=True,
    callback=values.headers_option,
    help="Header to send with every request; its value is never printed. 'Name: value' also works.",
)
@server(
    "--engine",
    metavar="NAME",
    type=values.text,
    help="Engine of the server that the bench starts: sim, scripted, vllm.  [default: sim]",
)
@server("--model-id-or-path", metavar="ID|DIR", help="Real model for that server, by hub id or folder.")
@server(
    "--model-type", metavar="NAME", help="Real model for that server, by type: qwen-7b-chat, smollm2-135m-instruct …"
)
@server("--ckpt-dir", metavar="DIR", help="Fine-tuned model or adapter for that server.")
@server("--server-profile", metavar="NAME", help="Speed of that server's simulated engine: demo, instant, …")
@server(
    "--server-args", metavar="TEXT", help="Further options for that server; see python -m mock_server deploy --help."
)
@load(
    "--concurrency",
    "--max-concurrency",
    "streams",
    metavar="N",
    type=values.count(),
    help="Streams to keep open; with a rate, the maximum number of open requests.  "
    f"[default: {DEFAULT_STREAMS}; none with a rate]",
)
@load(
    "--duration",
    metavar="TIME",
    type=values.duration,
    help="How long to send requests: 15, 15s, 500ms, 2m.  [default: 15s]",
)
@load(
    "--num-requests",
    "--num-prompts",
    "num_requests",
    metavar="N",
    type=values.count(),
    help="How many requests to send; with --duration, the maximum.",
)
@load(
    "--warmup",
    "--num-warmups",
    "warmup",
    metavar="N",
    type=values.count(0),
    help="Number of short requests before the load.  [default: one per stream]",
)
@load(
    "--request-rate",
    metavar="R",
    type=values.request_rate,
    help="Send R requests per second, whether or not earlier ones have ended.  [default: inf, a closed loop]",
)
@load(
    "--arrivals",
    metavar="NAME",
    type=values.one_of(*PROCESSES),
    help=f"How the requests of a rate are spread: {', '.join(PROCESSES)} (--burstiness).  [default: poisson]",
)
@load(
    "--burstiness",
    metavar="X",
    type=values.burstiness,
    help="Shape of gamma arrivals: below 1 they are bunched, 1 is poisson, inf is constant.",
)
@load(
    "--seed",
    metavar="N",
    type=values.count(0, 2**63 - 1),
    default=DEFAULT_SEED,
    show_default=True,
    help="Determines the order and content of the prompts, and the send times of a rate.",
)
@requests(
    "--prompts",
    "--dataset-path",
    "prompts",
    metavar="FILE",
    type=values.path,
    help="File of JSON lines with prompt or messages, and optionally output_len.  [default: 48 built-in questions]",
)
@requests(
    "--input-len",
    "--random-input-len",
    "input_len",
    metavar="N",
    type=values.count(most=2_000_000),
    help="Use synthetic prompts of N tokens instead.",
)
@requests(
    "--output-len",
    "--random-output-len",
    "output_len",
    metavar="N",
    type=values.count(),
    help=f"Tokens in each answer.  [default: {DEFAULT_OUTPUT_LEN}]",
)
@requests(
    "--stream/--no-stream",
    default=True,
    help="Request answers as streams, or in one piece (without TTFT).  [default: as streams]",
)
@requests(
    "--ignore-eos/--no-ignore-eos",
    default=None,
    help="Make answers exactly that long, or let the model end them.  [default: exactly that long]",
)
@requests(
    "--dataset-name",
    metavar="NAME",
    type=values.one_of("random", "custom"),
    help="random (synthetic) or custom (--dataset-path), as in vllm bench serve.",
)
@requests(
    "--cache",
    metavar="NAME",
    type=values.one_of("bust", "keep"),
    default="bust",
    show_default=True,
    help="bust: each prompt begins with its own token, so that no prefix cache helps. keep: prompts as written.",
)
@requests("--temperature", metavar="X", type=values.number(0), help="Sampling temperature.  [default: the server's]")
@requests(
    "--top-p",
    metavar="X",
    type=values.number(0, 1),
    help="Nucleus sampling: total probability of the tokens to choose from.  [default: the server's]",
)
@requests(
    "--top-k", metavar="N", type=values.count(-1), help="Choose from the N likeliest tokens.  [default: the server's]"
)
@requests(
    "--min-p",
    metavar="X",
    type=values.number(0, 1),
    help="Minimum probability, relative to the likeliest token.  [default: the server's]",
)
@requests("--extra-body", metavar="JSON", type=values.json_object, help="Fields to add to each request, unchanged.")
@limits("--timeout", metavar="TIME", type=values.duration, help="Limit for a whole request.  [default: 30m]")
@limits(
    "--connect-timeout", metavar="TIME", type=values.duration, help="Limit for opening a connection.  [default: 5s]"
)
@limits(
    "--first-byte-timeout",
    metavar="TIME",
    type=values.duration,
    help="Limit from the request to the first byte of its answer.  [default: none]",
)
@limits(
    "--stall-timeout", metavar="TIME", type=values.duration, help="Limit from one token to the next.  [default: none]"
)
@limits(
    "--give-up-after",
    metavar="TIME",
    type=values.duration,
    help="How long to continue when nothing answers at all, for example while a server restarts.  "
    f"[default: {DEFAULT_GIVE_UP_AFTER_S:g}s]",
)
@limits(
    "--drain-timeout",
    metavar="TIME",
    type=values.duration,
    help="After the load, how long to wait while no answer delivers a token.  "
    f"[default: {format_duration(DEFAULT_DRAIN_TIMEOUT_S)}]",
)
@writing_options
@output(
    "--percentile-metrics",
    "rows",
    metavar="LIST",
    type=values.rows,
    help=f"Rows of the table of latencies: {', '.join(values.ROWS)}.  [default: {','.join(DEFAULT_ROWS)}]",
)
@output(
    "--metric-percentiles",
    "percentiles",
    metavar="LIST",
    type=values.percentiles,
    help=f"Columns of that table: the percentiles.  [default: {','.join(f'{p:g}' for p in DEFAULT_PERCENTILES)}]",
)
@output(
    "--goodput",
    metavar="SLO…",
    multiple=True,
    callback=values.goodput_option,
    help="Count requests that meet all of these limits, in ms: ttft:200 tpot:50 e2e:5000.",
)
@output("--strict", is_flag=True, help="Exit with code 1 if the verdict is not trusted.")
@output("--no-live", "--disable-tqdm", "no_live", is_flag=True, help="Do not show the live view.")
@click.option(
    "--config",
    metavar="FILE",
    type=values.path,
    is_eager=True,
    callback=use_config,
    help="YAML file of these options, such as concurrency: 64. The command line overrides it.",
)
@version_option
def load_test(**options: Any) -> LoadSettings:
    """Measure how fast a language-model server answers, and check the measurement itself.

    The bench keeps --concurrency streams open for --duration. It reports TTFT, ITL, TPOT, E2E and throughput, with
    checks that show how far these can be trusted. If you name no server, the bench starts one: simulated, or with a
    real model.
    """
    ctx = click.get_current_context()
    settled, config = settle(ctx, options)
    try:
        return read_settings(settled, os.environ, ctx.obj, config)
    except UsageError as error:
        raise UsageError(with_source(error, ctx)) from None
