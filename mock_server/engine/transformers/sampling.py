"""From the model's logits to a token: penalties, restrictions, and drawing. Pure.

Logits are arrays of the shape (vocabulary). The order of the steps is vLLM's, so that both engines answer alike, and
log probabilities are those of the model before any of these steps.
"""

from __future__ import annotations

import math
import random
from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

import numpy as np
import numpy.typing as npt

from mock_server.engine.base import PositionLogprobs, TokenLogprob
from mock_server.engine.transformers.constraint import Constraint

Logits = npt.NDArray[np.floating[Any]]
_LEAST_TEMPERATURE = 1e-5
_FIRST_LOOK = 1_024
"""For top_p, so many of the likeliest tokens are sorted first. They are nearly always enough."""


class BadLogitsError(ArithmeticError):
    """The model's output is not a number, or no token is left to choose."""


def check_number(highest: float) -> None:
    """`highest` is the largest logit, which is not a number if any is not. Raises `BadLogitsError`."""
    if math.isnan(highest):
        raise BadLogitsError("the model's output is not a number, as with a dtype that is too narrow for it")


@dataclass(frozen=True, slots=True)
class Sampling:
    """A request's sampling parameters without gaps. The defaults have no effect."""

    temperature: float = 1.0
    top_p: float = 1.0
    top_k: int = 0
    """0 or less: any number."""
    min_p: float = 0.0
    presence_penalty: float = 0.0
    frequency_penalty: float = 0.0
    repetition_penalty: float = 1.0
    min_tokens: int = 0
    stop_ids: frozenset[int] = frozenset()
    """Tokens that end the answer, and do not occur in its first `min_tokens`."""
    logit_bias: Mapping[int, float] = field(default_factory=dict)
    allowed_token_ids: tuple[int, ...] = ()
    """Empty: all."""
    bad_words: tuple[tuple[int, ...], ...] = ()
    """Sequences that must not become complete."""
    logprobs: int | None = None
    constraint: Constraint | None = None
    """At the beginning of the answer."""

    @property
    def is_greedy(self) -> bool:
        return self.temperature < _LEAST_TEMPERATURE

    @property
    def is_plain(self) -> bool:
        """Whether each token is just the likeliest one, and nothing else is wanted."""
        return self.is_greedy and self.logprobs is None and not self._edits

    @property
    def _edits(self) -> bool:
        has_penalties = self.presence_penalty or self.frequency_penalty or self.repetition_penalty != 1
        has_limits = self.allowed_token_ids or self.bad_words or self.logit_bias or self.min_tokens
        return bool(has_penalties or has_limits or self.constraint)


class Sampler:
    """Chooses the tokens of one sequence. The same seed draws the same tokens from the same logits."""

    def __init__(self, sampling: Sampling, prompt_ids: Sequence[int], seed: str) -> None:
        self._sampling = sampling
        self._source = random.Random(seed)
        self._constraint = None if sampling.constraint is None else sampling.constraint.copy()
        self._said: list[int] = []
        self._counts: Counter[int] = Counter()
        repeats = sampling.repetition_penalty != 1
        self._seen: set[int] = set(prompt_ids) if repeats else set()

    def note(self, token_id: int) -> None:
        """The sequence has gained this token."""
        if self._constraint is not None:
            self._constraint.note(token_id)
        self._said.append(token_id)
        self._counts[token_id] += 1
        self._seen.add(token_id)

    def choose(self, logits: Logits) -> tuple[int, PositionLogprobs | None]:
        """Raises `BadLogitsError`."""
        check_number(float(logits.max()))
        token_id = self._choose(self._edited(logits))
        top = self._sampling.logprobs
        return token_id, None if top is None else position_logprobs(logits, token_id, top)

    def _choose(self, logits: Logits) -> int:
        if logits.max() == -np.inf:
            raise BadLogitsError("the request's restrictions leave no token to choose")
        if self._sampling.is_greedy:
            return int(logits.argmax())
        candidates, shares = distribution(logits, self._sampling)
        return int(candidates[drawn(shares, self._source.random())])

    def _edited(self, logits: Logits) -> Logits:
        sampling = self._sampling
        if sampling.is_plain:
            return logits
        logits = logits.astype(np.float32, copy=True)
        if sampling.allowed_token_ids:
            allowed = np.array(sampling.allowed_token_ids)
            kept = logits[allowed]
            logits.fill(-np.inf)
            logits[allowed] = kept
        for word in sampling.bad_words:
            if len(word) == 1 or tuple(self._said[1 - len(word) :]) == word[:-1]:
                logits[word[-1]] = -np.inf
        if len(self._said) < sampling.min_tokens:
            logits[list(sampling.stop_ids)] = -np.inf
        for token_id, bias in sampling.logit_bias.items():
            logits[token_id] += bias
        self._penalize(logits)
        if self._constraint is not None:
            self._constraint.restrict(logits)
        return logits

    def _penalize(self, logits: Logits) -> None:
        sampling = self._sampling
        if sampling.repetition_penalty != 1 and self._seen:
            seen = np.fromiter(self._seen, dtype=np.int64)
            scores = logits[seen]
            penalty = sampling.repetition_penalty
            logits[seen] = np.where(scores > 0, scores / penalty, scores * penalty)
        if self._counts and (sampling.frequency_penalty or sampling.presence_penalty):
            said = np.fromiter(self._counts, dtype=np.int64)
            counts = np.fromiter(self._counts.values(), dtype=np.float32)
            logits[said] -= sampling.frequency_penalty * counts + np.float32(sampling.presence_penalty)


def distribution(logits: Logits, sampling: Sampling) -> tuple[npt.NDArray[np.int64], Logits]:
    """The tokens that can be drawn, and their shares, which need not add up to 1."""
    scores = logits / np.float32(sampling.temperature)
    highest = scores.max()
    candidates = None
    if sampling.min_p > 0:
        candidates = np.flatnonzero(scores >= highest + np.float32(math.log(sampling.min_p)))
        scores = scores[candidates]
    if 0 < sampling.top_k < len(scores):
        least = np.partition(scores, -sampling.top_k)[-sampling.top_k]
        candidates = _narrowed(candidates, np.flatnonzero(scores >= least))
        scores = scores[scores >= least]
    shares = np.exp(scores - highest)
    if sampling.top_p < 1:
        nucleus = _nucleus(shares, sampling.top_p)
        candidates, shares = _narrowed(candidates, nucleus), shares[nucleus]
    return np.arange(len(shares)) if candidates is None else candidates, shares


def _narrowed(candidates: npt.NDArray[np.int64] | None, places: npt.NDArray[np.int64]) -> npt.NDArray[np.int64]:
    return places if candidates is None else candidates[places]


def _nucleus(shares: Logits, top_p: float) -> npt.NDArray[np.int64]:
    """The places of the largest shares, as few as have `top_p` of all."""
    wanted = top_p * shares.sum(dtype=np.float64)
    places = np.arange(len(shares))
    if len(shares) > _FIRST_LOOK:
        largest = np.sort(np.argpartition(shares, -_FIRST_LOOK)[-_FIRST_LOOK:])
        if shares[largest].sum(dtype=np.float64) >= wanted:
            places = largest
    places = places[np.argsort(-shares[places], kind="stable")]
    enough = int(np.searchsorted(np.cumsum(shares[places], dtype=np.float64), wanted)) + 1
    return places[:enough]


def drawn(shares: Logits, at: float) -> int:
    """The place that `at`, from 0 to below 1, falls on when the places are as wide as their shares."""
    ends = np.cumsum(shares, dtype=np.float64)
    place = int(np.searchsorted(ends, at * ends[-1], side="right"))
    return place if place < len(shares) else int(np.flatnonzero(shares)[-1])


def position_logprobs(logits: Logits, token_id: int, top: int) -> PositionLogprobs:
    """The log probability of a token where the model gave these logits, and those of the `top` likeliest."""
    logits = logits.astype(np.float32, copy=False)
    highest = logits.max()
    logprobs = logits - (highest + np.log(np.exp(logits - highest).sum(dtype=np.float64))).astype(np.float32)
    rank = int(np.count_nonzero(logits > logits[token_id])) + 1
    chosen = TokenLogprob(token_id, float(logprobs[token_id]), rank)
    if not top:
        return PositionLogprobs(chosen, (chosen,) if rank == 1 else ())
    top = min(top, len(logprobs))
    likeliest = np.argpartition(logits, -top)[-top:]
    likeliest = likeliest[np.lexsort((likeliest, -logits[likeliest]))]
    return PositionLogprobs(
        chosen, [TokenLogprob(int(each), float(logprobs[each]), rank) for rank, each in enumerate(likeliest, 1)]
    )
