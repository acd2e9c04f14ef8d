"""Turns a request's parameters into what the batch needs, or refuses them."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from mock_server.engine.base import SAMPLING, GenerationParams
from mock_server.engine.errors import RequestRefusedError
from mock_server.engine.hf.text import HfText
from mock_server.engine.transformers.constraint import Grammars
from mock_server.engine.transformers.facts import ModelFacts
from mock_server.engine.transformers.row import BatchRequest
from mock_server.engine.transformers.sampling import Sampling


class RequestReader:
    """For one model; `text` has its tokenizer."""

    def __init__(self, facts: ModelFacts, text: HfText, grammars: Grammars) -> None:
        self._facts = facts
        self._grammars = grammars
        self._text = text

    async def read(self, prompt_token_ids: Sequence[int], params: GenerationParams, seed: str) -> BatchRequest:
        """Raises `RequestRefusedError`."""
        if not prompt_token_ids:
            raise RequestRefusedError("the prompt has no tokens", "prompt")
        room = self._facts.max_model_len - len(prompt_token_ids)
        if room < 1:
            raise RequestRefusedError(
                f"the prompt has {len(prompt_token_ids)} tokens, and the context {self._facts.max_model_len}: shorten"
                " it",
                "prompt",
            )
        self._check_ids(prompt_token_ids, "prompt")
        self._check_ids(params.allowed_token_ids, "allowed_token_ids")
        self._check_ids(params.logit_bias, "logit_bias")
        sampling = await self._sampling(params)
        return BatchRequest(
            prompt_ids=tuple(prompt_token_ids),
            sampling=sampling,
            seed=seed,
            max_tokens=min(params.max_tokens, room),
            num_rows=1 if sampling.is_greedy else params.n,  # all greedy choices are the same
            prompt_logprobs=params.prompt_logprobs,
        )

    async def _sampling(self, params: GenerationParams) -> Sampling:
        given: Mapping[str, Any] = {name: getattr(params, name) for name in SAMPLING}
        defaults = self._facts.sampling_defaults
        chosen = {name: defaults.get(name) if value is None else value for name, value in given.items()}
        ends = frozenset() if params.ignore_eos else self._facts.eos_ids
        stop_ids = ends | params.stop_token_ids
        wanted = params.structured_output
        return Sampling(
            **{name: value for name, value in chosen.items() if value is not None},
            min_tokens=params.min_tokens if stop_ids else 0,
            stop_ids=frozenset(each for each in stop_ids if 0 <= each < self._facts.vocab_size),
            logit_bias=dict(params.logit_bias),
            allowed_token_ids=tuple(params.allowed_token_ids),
            bad_words=await self._bad_words(params.bad_words),
            logprobs=params.logprobs,
            constraint=None if wanted is None else await self._grammars.constraint(wanted),
        )

    async def _bad_words(self, words: Sequence[str]) -> tuple[tuple[int, ...], ...]:
        """Each word as it is at the beginning of a text, and as it is after a space if that has as many tokens."""
        found: dict[tuple[int, ...], None] = {}
        for word in words:
            plain = tuple(await self._text.encode(word.lstrip()))
            spaced = tuple(await self._text.encode(f" {word.lstrip()}"))
            if not plain:
                raise RequestRefusedError(f"bad_words has {word!r}, which has no tokens", "bad_words")
            found[plain] = None
            if spaced[0] != plain[0] and len(spaced) == len(plain):
                found[spaced] = None
        return tuple(found)

    def _check_ids(self, token_ids: Sequence[int] | Mapping[int, float], field: str) -> None:
        size = self._facts.vocab_size
        for token_id in token_ids:
            if not 0 <= token_id < size:
                raise RequestRefusedError(
                    f"{field} has the token id {token_id}; the model's ids are 0 to {size - 1}", field
                )
