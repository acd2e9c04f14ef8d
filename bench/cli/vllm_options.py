"""What `vllm bench serve` names that is not carried here: each refused by name, with what to do instead."""

from __future__ import annotations

_STEADY = "a rate stays the same for the whole run: give --request-rate"
_COUNTED_BY_SERVER = "leave it out: tokens are counted by the server's own usage"
_NATIVE_RESULT = "each run keeps its result under --result-dir; --json PATH writes it where you want"
_TEXT_ALONE = "prompts are text alone"
_NO_PLOTS = "nothing is plotted; --format csv and requests.jsonl have what plots are made of"
_EXTRA = "send it with --extra-body '{\"%s\": …}'"

REFUSED = {
    "--append-result": _NATIVE_RESULT,
    "--disable-shuffle": "prompts come in an order of their own that --seed decides",
    "--enable-multimodal-chat": _TEXT_ALONE,
    "--insecure": "name the authority of the server's certificate in SSL_CERT_FILE",
    "--no-oversample": "prompts come again when all have been sent: give --num-requests as many as there are",
    "--plot-dataset-stats": _NO_PLOTS,
    "--plot-timeline": _NO_PLOTS,
    "--skip-chat-template": "give --endpoint completions, which has no template",
    "--skip-tokenizer-init": _COUNTED_BY_SERVER,
    "--timeline-itl-thresholds": _NO_PLOTS,
    "--custom-output-len": "give --output-len, or output_len in the lines of --prompts",
    "--frequency-penalty": _EXTRA % "frequency_penalty",
    "--label": "put a label into the name of --result-dir",
    "--logprobs": _EXTRA % "logprobs",
    "--lora-modules": "give one adapter's name as --model",
    "--metadata": "put it into the name of --result-dir",
    "--presence-penalty": _EXTRA % "presence_penalty",
    "--profile": "the server is not profiled; --server-profile sets the embedded server's speed",
    "--ramp-up-end-rps": _STEADY,
    "--ramp-up-start-rps": _STEADY,
    "--ramp-up-strategy": _STEADY,
    "--random-prefix-len": "prompts share no prefix; write such prompts into a --prompts file and add --cache keep",
    "--random-range-ratio": "all synthetic prompts have the length of --input-len",
    "--ready-check-timeout-sec": "start the bench when the server answers",
    "--repetition-penalty": _EXTRA % "repetition_penalty",
    "--request-id-prefix": "request ids begin with bench-",
    "--tokenizer": _COUNTED_BY_SERVER,
    "--tokenizer-mode": _COUNTED_BY_SERVER,
    "--trust-remote-code": _COUNTED_BY_SERVER,
    "--use-beam-search": _EXTRA % "use_beam_search",
}

# Options of its datasets, by how they begin.
_DATASETS = (
    *("--asr-", "--blazedit-", "--hf-", "--prefix-repetition-", "--random-mm-", "--sharegpt-", "--sonnet-"),
    "--spec-bench-",
)


def refusal_of(option: str) -> str | None:
    """What to do instead of an option of that tool which is not carried; None for others."""
    if option.startswith(_DATASETS):
        return "that dataset is not built in: write its prompts into a file for --prompts"
    return REFUSED.get(option)


# The endpoint that each of its backends speaks to.
BACKENDS = {"vllm": "completions", "openai": "completions", "openai-chat": "chat"}

# Its defaults for --dataset-name random.
RANDOM_INPUT_LEN = 1024
