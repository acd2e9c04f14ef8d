"""Options of `vllm bench serve` that are not supported here. Each is refused with what to do instead."""

from __future__ import annotations

_STEADY = "the rate is constant for the whole run: give --request-rate"
_COUNTED_BY_SERVER = "leave it out: the server's usage counts the tokens"
_NATIVE_RESULT = "each run keeps its result under --result-dir; --json PATH writes it where you want"
_TEXT_ALONE = "prompts are only text"
_NO_PLOTS = "the bench makes no plots; use the data of --format csv and requests.jsonl"
_EXTRA = "send it with --extra-body '{\"%s\": …}'"

REFUSED = {
    "--append-result": _NATIVE_RESULT,
    "--disable-shuffle": "--seed determines the order of the prompts",
    "--enable-multimodal-chat": _TEXT_ALONE,
    "--insecure": "name the authority of the server's certificate in SSL_CERT_FILE",
    "--no-oversample": "prompts are repeated when all have been sent: set --num-requests to their number",
    "--plot-dataset-stats": _NO_PLOTS,
    "--plot-timeline": _NO_PLOTS,
    "--skip-chat-template": "give --endpoint completions, which uses no template",
    "--skip-tokenizer-init": _COUNTED_BY_SERVER,
    "--timeline-itl-thresholds": _NO_PLOTS,
    "--custom-output-len": "give --output-len, or output_len in the lines of --prompts",
    "--frequency-penalty": _EXTRA % "frequency_penalty",
    "--label": "put the label into the name of --result-dir",
    "--logprobs": _EXTRA % "logprobs",
    "--lora-modules": "give the name of one adapter as --model",
    "--metadata": "put the metadata into the name of --result-dir",
    "--presence-penalty": _EXTRA % "presence_penalty",
    "--profile": "the bench does not profile the server; --server-profile sets the speed of the embedded one",
    "--ramp-up-end-rps": _STEADY,
    "--ramp-up-start-rps": _STEADY,
    "--ramp-up-strategy": _STEADY,
    "--random-prefix-len": "write prompts that share a prefix into a file for --prompts, and add --cache keep",
    "--random-range-ratio": "all synthetic prompts have the length of --input-len",
    "--ready-check-timeout-sec": "start the bench after the server answers",
    "--repetition-penalty": _EXTRA % "repetition_penalty",
    "--request-id-prefix": "request ids begin with bench-",
    "--tokenizer": _COUNTED_BY_SERVER,
    "--tokenizer-mode": _COUNTED_BY_SERVER,
    "--trust-remote-code": _COUNTED_BY_SERVER,
    "--use-beam-search": _EXTRA % "use_beam_search",
}

# The beginnings of the options for its datasets.
_DATASETS = (
    *("--asr-", "--blazedit-", "--hf-", "--prefix-repetition-", "--random-mm-", "--sharegpt-", "--sonnet-"),
    "--spec-bench-",
)


def refusal_of(option: str) -> str | None:
    """What to do instead of an unsupported option of that tool; None for other options."""
    if option.startswith(_DATASETS):
        return "the dataset is not built in: write its prompts into a file for --prompts"
    return REFUSED.get(option)


# The endpoint of each of its backends.
BACKENDS = {"vllm": "completions", "openai": "completions", "openai-chat": "chat"}

# Its defaults for --dataset-name random.
RANDOM_INPUT_LEN = 1024
