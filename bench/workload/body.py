"""The body of a request, and what to leave out if a server rejects a part of it. Pure."""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import Any, Literal

from bench.workload.datasets import Prompt

EndpointKind = Literal["chat", "completions"]

# Every field that the bench sets itself, and the option for it: `--extra-body` must not set these.
OWNED_FIELDS = {
    "model": "give --model instead",
    "messages": "give --prompts or --input-len instead",
    "prompt": "give --prompts or --input-len instead",
    "stream": "give --stream or --no-stream instead",
    "stream_options": "leave it out: the bench requests usage, unless the server rejects that",
    "max_tokens": "give --output-len instead",
    "max_completion_tokens": "give --output-len instead",
    "min_tokens": "give --output-len, which makes answers exactly that long, instead",
    "ignore_eos": "give --ignore-eos or --no-ignore-eos instead",
}
SAMPLING = ("temperature", "top_p", "top_k", "min_p")
OWNED_FIELDS |= {name: f"give --{name.replace('_', '-')} instead" for name in SAMPLING}


@dataclass(frozen=True, slots=True)
class Features:
    """What the server accepts beyond the plain request; requested until it is rejected."""

    continuous_usage: bool = True
    usage: bool = True
    fixed_length: bool = True
    length_field: str = "max_tokens"


@dataclass(frozen=True, slots=True)
class BodyForm:
    """All that the bodies of a run have in common.

    `fixed_length` of the features is asked for by `min_tokens` and `ignore_eos`; `extra` is sent as it is; it has
    none of `OWNED_FIELDS` but the sampling parameters, which nothing else here sets.
    """

    kind: EndpointKind
    model: str
    features: Features
    extra: dict[str, Any]
    stream: bool = True

    def build(self, prompt: Prompt, max_tokens: int | None = None) -> dict[str, Any]:
        """The JSON object for this prompt, with at most `max_tokens` if given."""
        features = self.features
        length = prompt.output_len if max_tokens is None else min(max_tokens, prompt.output_len)
        body: dict[str, Any] = {"model": self.model}
        if self.kind == "chat":
            body["messages"] = prompt.messages
        else:
            body["prompt"] = prompt.text
        body["stream"] = self.stream
        if self.stream and features.usage:
            options = {"include_usage": True}
            if features.continuous_usage:
                options["continuous_usage_stats"] = True
            body["stream_options"] = options
        body[features.length_field] = length
        if features.fixed_length:
            body["min_tokens"] = length
            body["ignore_eos"] = True
        return body | self.extra


def concessions(features: Features, refusal: str) -> list[tuple[str, Features]]:
    """What to leave out after a 400 with the message `refusal`, each with its name; the part it names is first."""
    options: list[tuple[str, Features]] = []
    if features.usage and features.continuous_usage:
        options.append(("continuous_usage_stats", replace(features, continuous_usage=False)))
    if features.fixed_length:
        options.append(("min_tokens, ignore_eos", replace(features, fixed_length=False)))
    if features.usage:
        options.append(("stream_options", replace(features, usage=False, continuous_usage=False)))
    if features.length_field == "max_tokens" and "max_completion_tokens" in refusal:
        options.insert(0, ("max_tokens", replace(features, length_field="max_completion_tokens")))
    return sorted(options, key=lambda option: not any(name in refusal for name in option[0].split(", ")))
