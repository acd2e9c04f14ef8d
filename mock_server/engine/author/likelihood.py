"""The likelihoods of the simulated model's tokens: a made-up distribution, a pure function of key and position.

At each position some tokens have logits, and all others share one low floor. Biases, bans and a restricted vocabulary
replace the author's token; the log probabilities shown are those before that, as in vLLM.
"""

from __future__ import annotations

import hashlib
import math
import random
from array import array
from collections.abc import Collection, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass

from mock_server.engine.base import GenerationParams, PositionLogprobs, TokenLogprob

_NUM_CANDIDATES = 24
_FLOOR = -12.0  # below the likeliest token's logit of 0
_FIRST_GAP, _GAP = 2.5, 0.35  # mean distances of the logits: from the likeliest to the second, and so on
_LIKELIEST_SHARE = 0.8  # of sampled tokens


class Likelihood:
    """Of `vocab_size` tokens, those from `first_piece` on may be drawn as likely ones."""

    def __init__(self, vocab_size: int, first_piece: int) -> None:
        self.vocab_size = vocab_size
        self._first_piece = first_piece

    def position(self, token_id: int, key: str, *, greedy: bool) -> Position:
        """The distribution at a position where the author has this token."""
        source = random.Random(key)
        place = 0 if greedy or source.random() < _LIKELIEST_SHARE else 1 + int(4 * source.random())
        others = dict.fromkeys(source.randrange(self._first_piece, self.vocab_size) for _ in range(_NUM_CANDIDATES))
        others.pop(token_id, None)
        order = list(others)
        order.insert(place, token_id)
        logits: dict[int, float] = {}
        logit = 0.0
        for candidate in order:
            logits[candidate] = max(logit, _FLOOR)
            logit -= source.expovariate(1.0 / (_GAP if len(logits) > 1 else _FIRST_GAP))
        return Position(token_id, logits, self.vocab_size)

    def prompt(self, token_ids: Sequence[int], top: int) -> list[PositionLogprobs | None]:
        """The log probabilities of each token of a prompt given those before it; None for the first."""
        digest = hashlib.blake2b(digest_size=16)
        positions: list[PositionLogprobs | None] = []
        for token_id in token_ids:
            place = self.position(token_id, digest.hexdigest(), greedy=False)
            positions.append(place.logprobs(token_id, top) if positions else None)
            digest.update(array("I", [token_id]).tobytes())
        return positions


@dataclass(slots=True)
class Position:
    """The author's token, and the logits of the tokens that could replace it, likeliest first."""

    token_id: int
    logits: dict[int, float]
    vocab_size: int

    def logprobs(self, chosen: int, top: int) -> PositionLogprobs:
        num_others = self.vocab_size - len(self.logits)
        mass = sum(map(math.exp, self.logits.values())) + num_others * math.exp(_FLOOR)
        normal = math.log(mass)
        ranked = [
            TokenLogprob(token_id, logit - normal, rank)
            for rank, (token_id, logit) in enumerate(self.logits.items(), 1)
        ]
        found = next((entry for entry in ranked if entry.token_id == chosen), None)
        return PositionLogprobs(found or TokenLogprob(chosen, _FLOOR - normal, len(ranked) + 1), ranked[:top])

    def choose(self, edits: Edits, banned: Collection[int]) -> int:
        """The author's token, unless the request makes another one likelier."""
        scores = {
            token_id: (0.0 if token_id == self.token_id else logit - 1.0) + edits.biases.get(token_id, 0.0)
            for token_id, logit in self.logits.items()
            if edits.allows(token_id)
        }
        for others in (edits.by_bias, edits.without_bias):  # among the tokens without a logit, the best one is enough
            best = next((token_id for token_id in others if token_id not in scores and token_id not in banned), None)
            if best is not None:
                scores[best] = _FLOOR + edits.biases.get(best, 0.0)
        left = {token_id: score for token_id, score in scores.items() if token_id not in banned} or scores
        if not left:  # every allowed token is also forbidden
            return next(iter(edits.by_bias or edits.without_bias))
        return max(left, key=left.__getitem__)


class Edits:
    """A request's restrictions on tokens, in the order in which they apply at each token."""

    def __init__(
        self, biases: Mapping[int, float], allowed: Sequence[int] | None, bad_words: Iterable[Sequence[int]] = ()
    ) -> None:
        """`bad_words` are sequences that must not become complete."""
        self.biases = biases
        self._allowed = None if allowed is None else frozenset(allowed)
        self.by_bias = sorted(filter(self.allows, biases), key=lambda token_id: -biases[token_id])
        self.without_bias = [token_id for token_id in allowed or () if token_id not in biases]
        self._forbidden: set[int] = set()
        self._ends: dict[int, dict[int, dict[tuple[int, ...], set[int]]]] = {}
        """For longer words: their last tokens, by the last token but one, their length without the last, and all tokens
        before the last. A thousand words may differ in those alone.
        """
        for word in map(tuple, bad_words):
            if len(word) == 1:
                self._forbidden.add(word[0])
            elif word:
                beginnings = self._ends.setdefault(word[-2], {}).setdefault(len(word) - 1, {})
                beginnings.setdefault(word[:-1], set()).add(word[-1])
        self.is_empty = not (self.biases or self._allowed or self._forbidden or self._ends)

    def allows(self, token_id: int) -> bool:
        return self._allowed is None or token_id in self._allowed

    def banned(self, said: Sequence[int]) -> Collection[int]:
        """Tokens that would complete a forbidden word."""
        ends = self._ends.get(said[-1]) if said else None
        if ends is None:
            return self._forbidden
        found = [beginnings.get(tuple(said[-length:]), ()) for length, beginnings in ends.items()]
        return self._forbidden.union(*found) if any(found) else self._forbidden


class WeighedTokens(Iterator[int]):
    """An author's tokens under a request's restrictions. `last` is the likelihood of the latest one."""

    def __init__(
        self, tokens: Iterator[int], likelihood: Likelihood, edits: Edits, params: GenerationParams, key: str
    ) -> None:
        self._tokens = tokens
        self._likelihood = likelihood
        self._edits = edits
        self._top = params.logprobs
        self._greedy = params.greedy
        self._key = key
        self._said: list[int] = []
        self.last: PositionLogprobs | None = None

    def __next__(self) -> int:
        key = f"{self._key} {len(self._said)}"
        position = self._likelihood.position(next(self._tokens), key, greedy=self._greedy)
        chosen = (
            position.token_id if self._edits.is_empty else position.choose(self._edits, self._edits.banned(self._said))
        )
        if self._top is not None:
            self.last = position.logprobs(chosen, self._top)
        self._said.append(chosen)
        return chosen
