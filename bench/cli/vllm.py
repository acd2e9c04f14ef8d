"""What `vllm bench serve` names that is not carried here: each refused by name, with what to do instead."""

from __future__ import annotations

_STEADY = "a rate stays the same for the whole run: give --request-rate"
_COUNTED_BY_SERVER = "leave it out: tokens are counted by the server's own usage"
_NATIVE_RESULT = "each run keeps its result under --result-dir; --json PATH writes it where you want"
_EXTRA = "send it with --extra-body '{\"%s\": …}'"

REFUSED = {
    "--append-result": _NATIVE_RESULT,
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

# The endpoint that each of its backends speaks to.
BACKENDS = {"vllm": "completions", "openai": "completions", "openai-chat": "chat"}

# Its defaults for --dataset-name random.
RANDOM_INPUT_LEN = 1024
