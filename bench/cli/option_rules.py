"""Turns options into settings: which options exclude each other, and the defaults that depend on others."""

from __future__ import annotations

import json
import shlex
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any, Literal

from bench.answer_limits import DEFAULT_DRAIN_TIMEOUT_S
from bench.cli.api_key import read_key
from bench.cli.output_files import check_file, check_json
from bench.cli.program import program_name
from bench.cli.rerun_command import again_line
from bench.cli.vllm_options import BACKENDS, RANDOM_INPUT_LEN
from bench.figures.catalogue import LATENCIES, LIMITED
from bench.load.embedded import ServerChoice
from bench.load.outage import DEFAULT_GIVE_UP_AFTER_S
from bench.load.plan import Limits
from bench.load.proxies import unused_proxy
from bench.load.settings import (
    DEFAULT_DURATION_S,
    DEFAULT_OUTPUT_LEN,
    DEFAULT_RESULT_DIR,
    DEFAULT_STREAMS,
    LoadSettings,
    Output,
    UsageError,
    choose_address,
)
from bench.records.run import DEFAULT_PERCENTILES, DEFAULT_ROWS, ConfigFacts, View
from bench.target import TargetAddress, Timeouts
from bench.workload.arrivals import Arrivals, Gamma, Poisson, arrivals_by_burstiness, make_arrivals
from bench.workload.body import OWNED_FIELDS, SAMPLING
from streamgauge.option_sections import dashed

Options = Mapping[str, Any]
_MODEL_SOURCES = ("model_type", "model_id_or_path", "ckpt_dir")
_EMBEDDED = ("engine", "server_profile", "server_args", *_MODEL_SOURCES)


def read_settings(
    options: Options, environment: Mapping[str, str], arguments: Sequence[str], config: ConfigFacts | None = None
) -> LoadSettings:
    """The settings for the options. Raises UsageError."""
    named = options["endpoint"]
    path = named if named is not None and named.startswith("/") else None
    address, source = choose_address(
        base_url=options["base_url"],
        host=options["host"],
        port=options["port"],
        path=path,
        environment=environment,
        embedded=any(options[name] is not None for name in _EMBEDDED),
    )
    server, model = _server(options, address)
    key, key_source = read_key(options, options["headers"], environment)
    input_len, prompts = _dataset(options)
    arrivals = _arrivals(options)
    _check_goodput(options)
    return LoadSettings(
        streams=options["streams"] or (DEFAULT_STREAMS if arrivals is None else None),
        limits=_limits(options),
        arrivals=arrivals,
        streamed=options["stream"],
        address=address,
        address_source=source,
        endpoint=_kind(options, address),
        model=model,
        api_key=key,
        key_source=key_source,
        headers=options["headers"],
        unused_proxy=None if address is None else unused_proxy(address, environment),
        server=server,
        output_len=options["output_len"] or DEFAULT_OUTPUT_LEN,
        fixed_length=_fixed_length(options),
        input_len=input_len,
        prompts=prompts,
        cache=options["cache"],
        seed=options["seed"],
        warmup=options["warmup"],
        extra_body=_extra_body(options),
        timeouts=_timeouts(options),
        give_up_after_s=options["give_up_after"] or DEFAULT_GIVE_UP_AFTER_S,
        drain_timeout_s=options["drain_timeout"] or DEFAULT_DRAIN_TIMEOUT_S,
        result_dir=options["result_dir"] or DEFAULT_RESULT_DIR,
        output=read_output(options),
        view=View(
            percentiles=options["percentiles"] or DEFAULT_PERCENTILES,
            rows=options["rows"] or DEFAULT_ROWS,
            goodput=options["goodput"],
        ),
        strict=options["strict"],
        live=not options["no_live"],
        again=again_line(program_name(), arguments, options["seed"]),
        config=config,
    )


def read_output(options: Options) -> Output:
    """What to print and write. Raises UsageError."""
    json: Path | None = options["json_path"]
    name: str | None = options["result_filename"]
    # as `vllm bench serve` joins the two: without --result-dir from the current folder, and a whole path goes first
    folder: Path = options["result_dir"] or Path()
    check_json(json)
    if name is not None:
        check_file("--result-filename", name, folder / name, "result_filename")
        if json is not None and (folder / name).resolve() == json.resolve():
            problem = f"--result-filename {name} and --json {json} name the same file; keep one of them"
            raise UsageError(problem, "result_filename", "json_path")
    return Output(
        format=options["format"],
        json=json,
        save_dir=folder,
        save_result=options["save_result"] or options["save_detailed"] or name is not None,
        save_detailed=options["save_detailed"],
        result_filename=name,
    )


def _check_goodput(options: Options) -> None:
    """Refuse limits that no request could meet: an answer in one piece has no times except its end."""
    limited = options["goodput"] or ()
    unmet = [name for name in limited if LATENCIES[name].needs_stream]
    if not options["stream"] and unmet:
        left = ", ".join(name for name in LIMITED if not LATENCIES[name].needs_stream)
        problem = f"--goodput {unmet[0]} needs streams; with --no-stream a request has only {left}"
        raise UsageError(problem, "goodput", "stream")
    gaps = [name for name in limited if LATENCIES[name].needs_gap]
    if gaps and options["output_len"] == 1 and options["prompts"] is None:
        problem = f"--goodput {gaps[0]} needs answers of two tokens or more (got --output-len 1)"
        raise UsageError(problem, "goodput", "output_len")


def _arrivals(options: Options) -> Arrivals | None:
    """How the requests of a rate are spread; None for a closed loop."""
    rate, name, burstiness = options["request_rate"], options["arrivals"], options["burstiness"]
    if rate is None:
        for option in ("arrivals", "burstiness"):
            if options[option] is not None:
                raise UsageError(f"--{option} applies to a request rate: give --request-rate as well", option)
        return None
    if burstiness is None:
        if name == Gamma.name:
            problem = "--arrivals gamma needs its shape: give --burstiness, such as 0.5 for bunched requests"
            raise UsageError(problem, "arrivals")
        return make_arrivals(name or Poisson.name, rate)
    arrivals = arrivals_by_burstiness(rate, burstiness)
    if name not in (None, arrivals.name):
        raise UsageError(
            f"--arrivals {name} and --burstiness {burstiness:g}, which is {arrivals.name}, exclude each other",
            "arrivals",
            "burstiness",
        )
    return arrivals


def _server(options: Options, address: TargetAddress | None) -> tuple[ServerChoice, str | None]:
    """The server to start, if any, and the model to request."""
    asked = options["served_model_name"] or options["model"]
    sources = {name: options[name] for name in _MODEL_SOURCES if options[name] is not None}
    if options["engine"] is not None and options["model"] is not None and not sources:
        sources, asked = {"model_id_or_path": options["model"]}, options["served_model_name"]
    if address is None and asked is not None and not sources:
        named = "model" if options["served_model_name"] is None else "served_model_name"
        raise UsageError(
            f"--{dashed(named)} {asked} needs a server that serves it: "
            "give --base-url, or --engine vllm to start one with it",
            named,
        )
    model = [part for name, value in sources.items() for part in ("--" + dashed(name), value)]
    try:
        more = shlex.split(options["server_args"] or "")
    except ValueError as error:
        problem = f"--server-args cannot be split: {error} (in {options['server_args']!r})"
        raise UsageError(problem, "server_args") from None
    return ServerChoice(options["engine"], options["server_profile"], tuple(model), tuple(more)), asked


def _limits(options: Options) -> Limits:
    if options["duration"] is None and options["num_requests"] is None:
        return Limits(duration_s=DEFAULT_DURATION_S)
    return Limits(options["duration"], options["num_requests"])


def _kind(options: Options, address: TargetAddress | None) -> Literal["chat", "completions"] | None:
    backend, named = options["backend"], options["endpoint"]
    by_backend = None if backend is None else BACKENDS[backend]
    by_endpoint = named if named in ("chat", "completions") else None
    if by_endpoint is None and address is not None:
        by_endpoint = address.kind
    if named in BACKENDS.values() and address is not None and address.kind not in (None, named):
        problem = f"--endpoint {named} and the path of the address, {address.path}, exclude each other"
        raise UsageError(problem, "endpoint")
    if by_backend and by_endpoint and by_backend != by_endpoint:
        raise UsageError(
            f"--backend {backend} uses {by_backend}, but the given endpoint is {by_endpoint}; keep one of them",
            "backend",
        )
    found: Literal["chat", "completions"] | None = by_endpoint or by_backend  # type: ignore[assignment]
    return found


def _dataset(options: Options) -> tuple[int | None, Path | None]:
    input_len, prompts, name = options["input_len"], options["prompts"], options["dataset_name"]
    if name == "custom" and prompts is None:
        raise UsageError("--dataset-name custom needs --dataset-path FILE", "dataset_name")
    if name == "random":
        input_len = input_len or RANDOM_INPUT_LEN
    if input_len is not None and prompts is not None:
        problem = f"--prompts {prompts} and synthetic prompts of {input_len} tokens exclude each other"
        raise UsageError(problem, "prompts")
    return input_len, prompts


def _fixed_length(options: Options) -> bool | None:
    if options["ignore_eos"] is not None:
        return bool(options["ignore_eos"])
    return True if options["output_len"] is not None else None


def _extra_body(options: Options) -> dict[str, Any]:
    extra = dict(options["extra_body"] or {})
    for name in extra:
        if name in OWNED_FIELDS:
            problem = f'--extra-body must not set "{name}" (got {_as_json(extra[name])}): {OWNED_FIELDS[name]}'
            raise UsageError(problem, "extra_body")
    if "n" in extra and (type(extra["n"]) is not int or extra["n"] != 1):
        problem = f'--extra-body: "n" must be 1 (got {_as_json(extra["n"])}): each request is one answer'
        raise UsageError(problem, "extra_body")
    return extra | {name: options[name] for name in SAMPLING if options[name] is not None}


def _as_json(value: Any) -> str:
    """The value as JSON, shortened."""
    text = json.dumps(value, ensure_ascii=False)
    return text if len(text) <= 40 else text[:39] + "…"


def _timeouts(options: Options) -> Timeouts:
    default = Timeouts()
    return Timeouts(
        total=options["timeout"] or default.total,
        connect=options["connect_timeout"] or default.connect,
        first_byte=options["first_byte_timeout"],
        stall=options["stall_timeout"],
    )
