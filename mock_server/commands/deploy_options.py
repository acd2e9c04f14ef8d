"""The options of `deploy`, under vLLM's and ms-swift's names, by heading."""

from collections.abc import Callable
from typing import Any, TypeVar

import click

from ..engine.profiles import PROFILES
from ..message_reader import REASONING_FORMATS, TOOL_FORMATS
from ..model_source import DEFAULT_ADAPTER
from .arguments import AdapterParam, JsonObjectParam, Section, SizeParam

_F = TypeVar("_F", bound=Callable[..., Any])

_server = Section("Server")
_model = Section("Model")
_answers = Section("Answers, where a request does not say")
_adapters = Section("Adapters")
_lora = Section("Adapters", "vllm", "native")
_batch = Section("Engine")
_sim = Section("Simulated engines", "sim", "scripted")
_vllm = Section("vLLM", "vllm", "native")
_gpu = Section("vLLM on several devices", "vllm", "native")

_POSITIVE = click.IntRange(1)

SERVER = (
    _server("--host", default="127.0.0.1", show_default=True, help="Address to listen on."),
    _server("--port", type=click.IntRange(0, 65535), default=8000, show_default=True, help="0 picks a free port."),
    _server("--served-model-name", multiple=True, metavar="NAME...", help="Names of the model, the first on its card."),
    _server.switch("--require-model", default=False, help="Refuse requests that name no model, as OpenAI does."),
    _server("--api-key", multiple=True, metavar="KEY...", help="Keys that are accepted; without any, all are."),
    _server("--ssl-keyfile", metavar="FILE", help="Private key of a server that speaks TLS."),
    _server("--ssl-certfile", metavar="FILE", help="Its certificate."),
    _server(
        "--max-requests",
        type=click.IntRange(0),
        default=0,
        show_default=True,
        help="Requests under way at once, running and waiting; more get a 429. 0: any number.",
    ),
    _server("--max-body-size", type=SizeParam(), default="32M", show_default=True, help="Largest request body."),
    _server("--max-header-size", type=SizeParam(), default="64K", show_default=True, help="Largest request head."),
    _server(
        "--read-timeout",
        type=click.FloatRange(0),
        default=30.0,
        show_default=True,
        help="Seconds within which a request must come; more for long bodies. 0: any time.",
    ),
    _server(
        "--allowed-origins",
        multiple=True,
        metavar="ORIGIN...",
        help="Web pages that may call the server from a browser; * is any. [default: none]",
    ),
    _server("--allowed-methods", multiple=True, metavar="METHOD...", help="Methods that they may use. [default: any]"),
    _server("--allowed-headers", multiple=True, metavar="HEADER...", help="Headers that they may send. [default: any]"),
    _server.switch("--allow-credentials", default=False, help="Cookies and the like from those pages."),
    _server("--owned-by", default="streamgauge", show_default=True, help="Owner on the model's card."),
    _server(
        "--log-interval", type=float, default=10.0, show_default=True, help="Seconds between statistics lines; 0: none."
    ),
    _server.switch("--verbose", default=False, help="Log each request."),
    _server(
        "--shutdown-timeout",
        type=click.FloatRange(0),
        default=5.0,
        show_default=True,
        help="Seconds that streams in flight get to finish in when the server is told to stop.",
    ),
    _server.switch(
        "--until-stdin-closes",
        default=False,
        help="Stop when standard input ends, as it does when the parent process does.",
    ),
)
MODEL = (
    _model(
        "--engine", metavar="NAME", help="vllm, sim, scripted, or native (vllm serve itself). [default: by the model]"
    ),
    _model("--infer-backend", metavar="NAME", help="ms-swift's name for it: vllm."),
    _model("--model-type", metavar="NAME", help="Model by type: qwen-7b-chat, smollm2-135m-instruct …"),
    _model("--model-id-or-path", "--model", "model_id_or_path", metavar="ID|DIR", help="Model by hub id or folder."),
    _model(
        "--ckpt-dir", metavar="DIR", help=f"A fine-tuned model, or an adapter: served as {DEFAULT_ADAPTER} on its base."
    ),
    _model.switch("--no-chat", default=False, help="A base model: completions only."),
    _model(
        "--tool-call-parser",
        type=click.Choice(TOOL_FORMATS),
        help="How the model writes calls of tools. [default: not known, for a real model]",
    ),
    _model.switch(
        "--enable-auto-tool-choice", help="Leave it to the model whether to call. [default: if it is known how]"
    ),
    _model(
        "--reasoning-parser",
        type=click.Choice(REASONING_FORMATS),
        help="How the model marks its thoughts. [default: not known, for a real model]",
    ),
    _model("--template-type", metavar="NAME", help="Chat template by type. [default: the tokenizer's own]"),
    _model("--chat-template", metavar="FILE", help="Chat template in Jinja, as a file or as it is."),
)
ANSWERS = (
    _answers("--system", metavar="TEXT", help="System message of conversations that bring none."),
    _answers("--stop-words", multiple=True, metavar="TEXT...", help="End every answer."),
    _answers("--seed", type=int, help="Of what is drawn without a request's own seed. [default: 0]"),
    _vllm("--max-new-tokens", type=_POSITIVE, help="Longest chat answer. [default: the rest of the context]"),
    _vllm("--temperature", type=click.FloatRange(0, 2), help="0 is greedy. [default: the model's]"),
    _vllm("--top-p", type=click.FloatRange(0, 1, min_open=True), help="Nucleus sampling. [default: the model's]"),
    _vllm("--top-k", type=click.IntRange(-1), help="The likeliest tokens alone. [default: the model's]"),
    _vllm(
        "--repetition-penalty",
        type=click.FloatRange(0, min_open=True),
        help="Above 1 repeats less. [default: the model's]",
    ),
    _vllm.switch("--do-sample", help="false is greedy."),
    _vllm("--generation-config", metavar="NAME", help="auto (the model's), vllm (neutral), or a folder."),
    _vllm("--override-generation-config", type=JsonObjectParam(), help="Sampling defaults as JSON."),
)
ADAPTERS = (
    _adapters("--lora-modules", multiple=True, type=AdapterParam(), metavar="NAME=PATH...", help="Adapters to serve."),
    _adapters.switch(
        "--runtime-lora",
        help="Load and unload adapters over the API. [default: only on a loopback address or with an API key]",
    ),
    _lora.switch(
        "--enable-lora", "--vllm-enable-lora", "enable_lora", help="Adapters at all. [default: if one is named]"
    ),
    _lora("--max-loras", type=_POSITIVE, help="Adapters in one batch. [default: as many as named]"),
    _lora(
        "--max-lora-rank",
        "--vllm-max-lora-rank",
        "max_lora_rank",
        type=_POSITIVE,
        help="Largest rank. [default: what the adapters need, at least 16]",
    ),
    _lora("--max-cpu-loras", type=_POSITIVE, help="Adapters kept in memory beside those in a batch."),
    _lora.switch(
        "--lora-self-test", default=True, help="Refuse adapters that this build of vLLM mixes into the base's answers."
    ),
)
BATCH = (
    _batch("--max-model-len", type=click.IntRange(2), help="Context length in tokens, the answer included."),
    _batch("--max-num-seqs", type=_POSITIVE, help="Sequences that run at once."),
    _batch("--max-num-batched-tokens", type=_POSITIVE, help="Tokens computed in a step."),
)
SIMULATED = (
    _sim("--profile", metavar="NAME", help=f"Speed of the simulated engine: {', '.join(PROFILES)}. [default: demo]"),
    _sim("--script", metavar="ttft_ms=200,itl_ms=20", help="Times of the scripted engine."),
    _sim("--time-scale", type=float, help="Engine time against the wall's: 2 is twice as fast. [default: 1]"),
    _sim("--image-tokens", type=_POSITIVE, help="What an image in a chat counts as. [default: images are refused]"),
)
VLLM = (
    _vllm("--dtype", metavar="NAME", help="auto, float32, bfloat16, float16; fp32, bf16, fp16."),
    _vllm("--quantization", metavar="NAME", help="gptq, awq, compressed-tensors … [default: the model's]"),
    _vllm("--gpu-memory-utilization", type=click.FloatRange(0, 1, min_open=True), help="Share of a device's memory."),
    _vllm("--kv-cache-memory-bytes", type=SizeParam(), help="Memory of the KV cache: 512M, 4G."),
    _vllm.switch("--enforce-eager", help="No compilation: ready sooner, slower afterwards."),
    _vllm.switch("--enable-prefix-caching", help="Reuse what prompts have in common."),
    _vllm.switch("--trust-remote-code", help="Run code that comes with the model."),
    _vllm("--tokenizer", metavar="ID|DIR", help="Another tokenizer than the model's."),
    _vllm("--revision", metavar="NAME", help="Version of the model on the hub."),
    _vllm("--load-format", metavar="NAME", help="How weights are read; dummy makes them up."),
    _vllm("--block-size", type=_POSITIVE, help="Tokens in a block of the KV cache."),
    _vllm("--cpu-offload-gb", type=click.FloatRange(0), help="Weights kept in the host's memory, in GiB."),
    _vllm("--max-logprobs", type=click.IntRange(-1), help="Most log probabilities a token. [default: 20]"),
    _vllm("--scheduling-policy", type=click.Choice(["fcfs", "priority"]), help="Who is served first."),
    _vllm("--stream-interval", type=_POSITIVE, help="Tokens in an event of a stream."),
    _vllm("--limit-mm-per-prompt", type=JsonObjectParam(), help="Images and the like in a prompt."),
    _vllm.switch("--disable-log-stats", help="No statistics inside vLLM."),
    _vllm("--engine-args", type=JsonObjectParam(), help="Any other engine argument of vLLM, by its Python name."),
)
DEVICES = (
    _gpu("--tensor-parallel-size", type=_POSITIVE, help="Devices that share each layer."),
    _gpu("--pipeline-parallel-size", type=_POSITIVE, help="Groups of devices that share the layers."),
    _gpu("--data-parallel-size", type=_POSITIVE, help="Copies of the model."),
    _gpu("--distributed-executor-backend", metavar="NAME", help="mp, ray, uni or external_launcher."),
    _gpu.switch("--disable-custom-all-reduce", help="Leave sums over devices to the library."),
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
    for option in reversed((*SERVER, *MODEL, *ANSWERS, *ADAPTERS, *BATCH, *SIMULATED, *VLLM, *DEVICES)):
        command = option(command)
    return command
