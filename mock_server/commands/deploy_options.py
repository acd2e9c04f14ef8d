"""The options of `deploy`, under vLLM's and ms-swift's names, by heading."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, TypeVar

import click

from mock_server.answer.message_reader import REASONING_FORMATS, TOOL_FORMATS
from mock_server.commands.api_keys import VARIABLE
from mock_server.commands.arguments import Section
from mock_server.commands.config_file import use_config
from mock_server.commands.option_types import (
    AdapterParam,
    HostParam,
    IntegerParam,
    JsonObjectParam,
    NumberParam,
    SeedParam,
    SizeParam,
)
from mock_server.engine.sim.profiles import PROFILES
from mock_server.logs.output import LOG_FORMATS, configure_log
from mock_server.models.source import DEFAULT_ADAPTER
from mock_server.process.descriptors import MOST_CONNECTIONS
from mock_server.request_limits import DEFAULT_LIMITS
from streamgauge.version import version_line

_F = TypeVar("_F", bound=Callable[..., Any])


def _start_log(ctx: click.Context, param: click.Parameter, form: Any) -> Any:
    configure_log(form)
    return form


def _show_version(ctx: click.Context, param: click.Parameter, wanted: Any) -> None:
    if wanted:
        click.echo(version_line())
        ctx.exit()


_server = Section("Server")
_access = Section("Access")
_log = Section("Log and process")
_model = Section("Model")
_template = Section("Model", "vllm", "native")
_answers = Section("Answers, where a request does not say")
_sampling = Section("Answers, where a request does not say", "vllm", "native")
_adapters = Section("Adapters")
_lora = Section("Adapters", "vllm", "native")
_batch = Section("Engine")
_sim = Section("Simulated engines", "sim", "scripted")
_vllm = Section("vLLM", "vllm", "native")
_gpu = Section("vLLM on several devices", "vllm", "native")
_help = Section("Help")

_POSITIVE = IntegerParam(1)


def _limit(name: str, default: int, meaning: str) -> Callable[[_F], _F]:
    """A count that 0 lifts."""
    return _server(name, type=IntegerParam(0), default=default, show_default=True, help=f"{meaning} 0: no limit.")


SERVER = (
    _server(
        "--config",
        metavar="FILE",
        is_eager=True,
        callback=use_config,
        help="YAML file of options, such as port: 8000. The command line overrides it.",
    ),
    _server(
        "--host",
        type=HostParam(),
        default="127.0.0.1",
        show_default=True,
        help="Address to listen on. 0.0.0.0 or :: is every interface.",
    ),
    _server("--port", type=IntegerParam(0, 65535), default=8000, show_default=True, help="Port. 0 picks a free one."),
    _server("--uds", metavar="PATH", help="Unix socket to listen on, instead of an address and a port."),
    _server("--root-path", metavar="PATH", help="Prefix under which a proxy serves this server, such as /llm."),
    _server("--served-model-name", multiple=True, metavar="NAME...", help="Names of the model, its main one first."),
    _server.switch("--require-model", default=False, help="Refuse requests that name no model, as OpenAI does."),
    _limit("--max-requests", 0, "Most requests in progress, running or waiting; more get a 429."),
    _limit("--max-choices", DEFAULT_LIMITS.choices, "Most choices of one request: its prompts times n."),
    _limit(
        "--max-choices-in-progress",
        DEFAULT_LIMITS.choices_in_progress,
        "Most choices of all requests in progress; more get a 429. Long bodies count as several.",
    ),
    _limit(
        "--max-answer-tokens",
        DEFAULT_LIMITS.answer_tokens,
        "Most tokens that a request may ask for in an answer that is not streamed.",
    ),
    _limit(
        "--max-schema-size",
        DEFAULT_LIMITS.schema_characters,
        "Most characters of a schema, a regular expression or a grammar.",
    ),
    _server(
        "--max-connections",
        type=_POSITIVE,
        help=f"Most connections at once. [default: as many as file descriptors allow, up to {MOST_CONNECTIONS}]",
    ),
    _server(
        "--max-half-open",
        type=_POSITIVE,
        help="Most connections that have not sent a complete request head. [default: half of --max-connections]",
    ),
    _server(
        "--max-body-memory",
        type=SizeParam(),
        default="96M",
        show_default=True,
        help="Memory for all request bodies being received; what needs more gets a 503.",
    ),
    _server("--max-body-size", type=SizeParam(), default="32M", show_default=True, help="Largest request body."),
    _server("--max-header-size", type=SizeParam(), default="64K", show_default=True, help="Largest request head."),
    _server(
        "--read-timeout",
        type=NumberParam(0),
        default=30.0,
        show_default=True,
        help="Seconds within which a request must come; more for long bodies. 0: any time.",
    ),
    _server("--owned-by", default="streamgauge", show_default=True, help="Owner shown on the model's card."),
)
ACCESS = (
    _access("--api-key", multiple=True, metavar="KEY...", help="Keys that clients may use. Without any, all may call."),
    _access("--api-key-file", metavar="FILE", help=f"File of such keys, one a line. [default: the key in ${VARIABLE}]"),
    _access("--ssl-keyfile", metavar="FILE", help="Private key for TLS, in PEM form without a password."),
    _access("--ssl-certfile", metavar="FILE", help="Certificate for TLS, in PEM form."),
    _access(
        "--allowed-hosts",
        multiple=True,
        metavar="NAME...",
        help="Names for this server in the Host header, besides localhost and the like; * allows all. [default: none on"
        " a loopback address, else *]",
    ),
    _access(
        "--allowed-origins",
        multiple=True,
        metavar="ORIGIN...",
        help="Web pages that may call from a browser; * allows all. [default: none]",
    ),
    _access(
        "--allowed-methods", multiple=True, metavar="METHOD...", help="Methods that those pages may use. [default: all]"
    ),
    _access("--allowed-headers", multiple=True, metavar="HEADER...", help="Headers that they may send. [default: all]"),
    _access.switch("--allow-credentials", default=False, help="Let those pages send cookies and credentials."),
)
LOG = (
    _log(
        "--log-format",
        type=click.Choice(LOG_FORMATS),
        default="text",
        show_default=True,
        is_eager=True,
        callback=_start_log,
        help="Form of each log line: text, or a JSON object.",
    ),
    _log(
        "--log-interval",
        type=NumberParam(),
        default=10.0,
        show_default=True,
        help="Seconds between lines of throughput figures. 0: no such lines.",
    ),
    _log.switch("--verbose", default=False, help="Log each request when it ends."),
    _log(
        "--shutdown-timeout",
        type=NumberParam(0, 86_400),
        default=5.0,
        metavar="SECONDS",
        show_default=True,
        help="How long requests in progress may go on when the server is told to stop.",
    ),
    _log.switch(
        "--until-stdin-closes",
        default=False,
        help="Stop when standard input closes, as it does when the parent process ends.",
    ),
)
MODEL = (
    _model("--engine", metavar="NAME", help="vllm, sim, scripted, or native (vllm serve). [default: by the model]"),
    _model("--infer-backend", metavar="NAME", help="ms-swift's name for the engine: vllm."),
    _model("--model-type", metavar="NAME", help="Model by type: qwen-7b-chat, smollm2-135m-instruct …"),
    _model("--model-id-or-path", "--model", "model_id_or_path", metavar="ID|DIR", help="Model by hub id or folder."),
    _model(
        "--ckpt-dir", metavar="DIR", help=f"Fine-tuned model, or an adapter: served as {DEFAULT_ADAPTER} on its base."
    ),
    _model.switch("--no-chat", default=False, help="Serve a base model: completions only."),
    _model(
        "--tool-call-parser",
        type=click.Choice(TOOL_FORMATS),
        help="Form in which the model calls tools. [default: unknown for a real model]",
    ),
    _model.switch(
        "--enable-auto-tool-choice", help="Let the model decide whether to call a tool. [default: if the form is known]"
    ),
    _model(
        "--reasoning-parser",
        type=click.Choice(REASONING_FORMATS),
        metavar=f"[{'|'.join(REASONING_FORMATS)}]",
        help="Form in which the model marks its thoughts. [default: unknown for a real model]",
    ),
    _template("--template-type", metavar="NAME", help="Chat template by type. [default: the tokenizer's own]"),
    _template("--chat-template", metavar="FILE", help="Chat template in Jinja: a file, or the template itself."),
)
ANSWERS = (
    _answers("--system", type=click.STRING, metavar="TEXT", help="System message of conversations that have none."),
    _answers("--stop-words", multiple=True, metavar="TEXT...", help="Strings that end every answer."),
    _answers("--seed", type=SeedParam(), help="Seed of requests that bring none. [default: 0]"),
    _sampling(
        "--max-new-tokens",
        type=_POSITIVE,
        help="Tokens of an answer at most. [default: the rest of the context for chats, 16 for completions]",
    ),
    _sampling("--temperature", type=NumberParam(0, 2), help="0 is greedy. [default: the model's]"),
    _sampling("--top-p", type=NumberParam(0, 1, min_open=True), help="Nucleus sampling. [default: the model's]"),
    _sampling("--top-k", type=IntegerParam(-1), help="Sample from so many likeliest tokens. [default: the model's]"),
    _sampling(
        "--repetition-penalty",
        type=NumberParam(0, min_open=True),
        help="Above 1 discourages repetition. [default: the model's]",
    ),
    _sampling.switch("--do-sample", help="Sample; false is greedy."),
    _sampling("--generation-config", metavar="NAME", help="auto (the model's), vllm (neutral), or a folder."),
    _sampling("--override-generation-config", type=JsonObjectParam(), help="Sampling defaults."),
)
ADAPTERS = (
    _adapters("--lora-modules", multiple=True, type=AdapterParam(), metavar="NAME=PATH...", help="Adapters to serve."),
    _adapters.switch(
        "--runtime-lora",
        default=False,
        help="Let callers load and unload adapters over the API, from any path that the server can read.",
    ),
    _lora.switch(
        "--enable-lora", "--vllm-enable-lora", "enable_lora", help="Serve adapters. [default: if one is named]"
    ),
    _lora("--max-loras", type=_POSITIVE, help="Adapters in one batch. [default: as many as are named]"),
    _lora(
        "--max-lora-rank",
        "--vllm-max-lora-rank",
        "max_lora_rank",
        type=_POSITIVE,
        help="Largest rank. [default: what the adapters need, at least 16]",
    ),
    _lora("--max-cpu-loras", type=_POSITIVE, help="Adapters kept in memory, those in a batch included."),
    _lora.switch(
        "--lora-self-test", default=True, help="Refuse adapters that this build of vLLM mixes into the base's answers."
    ),
)
BATCH = (
    _batch("--max-model-len", type=IntegerParam(2), help="Context length in tokens, the answer included."),
    _batch("--max-num-seqs", type=_POSITIVE, help="Most sequences that run at once."),
    _batch("--max-num-batched-tokens", type=_POSITIVE, help="Most tokens computed in one step."),
)
SIMULATED = (
    _sim("--profile", metavar="NAME", help=f"Speed of the simulated engine: {', '.join(PROFILES)}. [default: demo]"),
    _sim("--script", metavar="ttft_ms=200,itl_ms=20", help="Times of the scripted engine."),
    _sim(
        "--time-scale",
        type=NumberParam(0, min_open=True),
        help="Speed of the engine's clock: 2 is twice as fast. [default: 1]",
    ),
    _sim("--image-tokens", type=_POSITIVE, help="Tokens that an image in a chat counts as. [default: images refused]"),
)
VLLM = (
    _vllm("--dtype", metavar="NAME", help="auto, float32, bfloat16, float16, or fp32, bf16, fp16."),
    _vllm("--quantization", metavar="NAME", help="gptq, awq, compressed-tensors … [default: the model's]"),
    _vllm("--gpu-memory-utilization", type=NumberParam(0, 1, min_open=True), help="Share of a device's memory to use."),
    _vllm("--kv-cache-memory-bytes", type=SizeParam(), help="Memory of the KV cache: 512M, 4G."),
    _vllm.switch("--enforce-eager", help="Do not compile: ready sooner, slower afterwards."),
    _vllm.switch("--enable-prefix-caching", help="Reuse what prompts have in common."),
    _vllm.switch("--trust-remote-code", help="Run code that comes with the model."),
    _vllm("--tokenizer", metavar="ID|DIR", help="Tokenizer other than the model's."),
    _vllm("--revision", metavar="NAME", help="Revision of the model on the hub."),
    _vllm("--load-format", metavar="NAME", help="How weights are read; dummy makes them up."),
    _vllm("--block-size", type=_POSITIVE, help="Tokens in a block of the KV cache."),
    _vllm("--cpu-offload-gb", type=NumberParam(0), help="GiB of weights kept in the host's memory."),
    _vllm("--max-logprobs", type=IntegerParam(-1), help="Most log probabilities for each token. [default: 20]"),
    _vllm("--scheduling-policy", type=click.Choice(["fcfs", "priority"]), help="Who is served first."),
    _vllm("--stream-interval", type=_POSITIVE, help="Tokens in each event of a stream."),
    _vllm("--limit-mm-per-prompt", type=JsonObjectParam(), help="Most images, videos and so on in a prompt."),
    _vllm.switch("--disable-log-stats", help="Keep no statistics inside vLLM."),
    _vllm("--engine-args", type=JsonObjectParam(), help="Any other engine argument of vLLM, by its Python name."),
)
DEVICES = (
    _gpu("--tensor-parallel-size", type=_POSITIVE, help="Devices that share each layer."),
    _gpu("--pipeline-parallel-size", type=_POSITIVE, help="Groups of devices that share the layers."),
    _gpu("--data-parallel-size", type=_POSITIVE, help="Copies of the model."),
    _gpu("--distributed-executor-backend", metavar="NAME", help="mp, ray, uni or external_launcher."),
    _gpu.switch("--disable-custom-all-reduce", help="Do not use vLLM's own all-reduce."),
)

HELP = (
    _help(
        "--version",
        type=click.BOOL,
        is_flag=True,
        is_eager=True,
        expose_value=False,
        callback=_show_version,
        help="Show the version and exit.",
    ),
)

ENGINE_ARGUMENTS = (
    "dtype", "quantization", "gpu_memory_utilization", "kv_cache_memory_bytes", "enforce_eager",
    "enable_prefix_caching",
    "trust_remote_code", "tokenizer", "revision", "load_format", "block_size", "cpu_offload_gb", "max_logprobs",
    "scheduling_policy", "stream_interval", "limit_mm_per_prompt", "disable_log_stats", "tensor_parallel_size",
    "pipeline_parallel_size", "data_parallel_size", "distributed_executor_backend", "disable_custom_all_reduce",
    "generation_config", "max_model_len", "max_num_seqs", "max_num_batched_tokens", "seed", "max_cpu_loras",
)  # fmt: skip
"""Options that are engine arguments of vLLM as they stand."""


def deploy_options(command: _F) -> _F:
    sections = (SERVER, ACCESS, LOG, MODEL, ANSWERS, ADAPTERS, BATCH, SIMULATED, VLLM, DEVICES, HELP)
    for option in reversed([option for section in sections for option in section]):
        command = option(command)
    return command
