"""Structured output: llguidance says after each token which ones may come next."""

from __future__ import annotations

import asyncio
import json
from typing import Any

import numpy as np
import numpy.typing as npt

from mock_server.engine.base import StructuredOutput
from mock_server.engine.call_schema import call_list_schema
from mock_server.engine.errors import RequestRefusedError


class Constraint:
    """Where one answer is in its grammar. When the grammar is complete, only the end of the sequence may follow."""

    def __init__(self, matcher: Any) -> None:
        self._matcher = matcher

    def copy(self) -> Constraint:
        """For another answer that has as many tokens."""
        return Constraint(self._matcher.deep_copy())

    def restrict(self, logits: npt.NDArray[np.floating[Any]]) -> None:
        """Sets the logits of all other tokens to minus infinity."""
        bits = np.frombuffer(self._matcher.compute_bitmask(), dtype=np.uint8)
        allowed = np.unpackbits(bits, bitorder="little")[: len(logits)]
        logits[: len(allowed)][allowed == 0] = -np.inf
        logits[len(allowed) :] = -np.inf

    def note(self, token_id: int) -> None:
        """The answer has gained this token."""
        if not self._matcher.is_stopped():
            self._matcher.consume_token(token_id)


class Grammars:
    """Makes constraints for one model. The first one takes seconds, because llguidance reads the vocabulary."""

    def __init__(self, tokenizer: Any, vocab_size: int, eos_ids: frozenset[int]) -> None:
        self._tokenizer = tokenizer
        self._vocab_size = vocab_size
        self._eos_ids = eos_ids
        self._reading = asyncio.Lock()
        self._vocabulary: Any = None

    async def constraint(self, wanted: StructuredOutput) -> Constraint:
        """Raises `RequestRefusedError` for a schema or a grammar that is not valid."""
        async with self._reading:
            if self._vocabulary is None:
                self._vocabulary = await asyncio.to_thread(self._read_vocabulary)
        return await asyncio.to_thread(self._compile, wanted)

    def _read_vocabulary(self) -> Any:
        from llguidance.hf import from_tokenizer

        size = max(self._vocab_size, len(self._tokenizer))
        return from_tokenizer(self._tokenizer, n_vocab=size, eos_token=sorted(self._eos_ids))

    def _compile(self, wanted: StructuredOutput) -> Constraint:
        from llguidance import LLMatcher

        try:
            grammar = _grammar(wanted)
            problem = LLMatcher.validate_grammar(grammar, self._vocabulary)
        except ValueError as error:
            problem = str(error)
        if problem:
            reason = " ".join(problem.split())[:400]
            raise RequestRefusedError(f"{wanted.origin or wanted.kind} is not valid: {reason}", wanted.origin or None)
        return Constraint(LLMatcher(self._vocabulary, grammar))


def _grammar(wanted: StructuredOutput) -> str:
    """Raises `ValueError`."""
    from llguidance import LLMatcher, grammar_from

    if wanted.kind == "structural_tag":
        raise ValueError("this engine knows no structural tags")
    if wanted.calls:
        schema = call_list_schema(wanted.calls, wanted.max_calls)
    elif wanted.kind == "json_object":
        schema = {"type": "object"}
    elif wanted.kind != "json":
        return str(grammar_from(wanted.kind, wanted.value))
    else:
        schema = json.loads(wanted.value) if isinstance(wanted.value, str) else wanted.value
    # without free space, in which small models lose themselves
    return str(LLMatcher.grammar_from_json_schema(json.dumps(schema), defaults={"whitespace_flexible": False}))
