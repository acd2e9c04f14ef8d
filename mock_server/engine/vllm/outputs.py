"""Turns vLLM's request outputs into deltas, by their attributes: this file does not need vLLM."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from mock_server.engine.base import Delta, FinishReason, PositionLogprobs, TokenLogprob
from mock_server.engine.errors import EngineError

_FINISH: Mapping[str | None, FinishReason | None] = {None: None, "stop": "stop", "length": "length"}


def read_deltas(output: Any, num_copies: int = 1) -> list[Delta]:
    """The new tokens of each choice. `num_copies`: the number of identical choices, of which vLLM computes one.

    Raises `EngineError` if the engine ended a choice for another reason than those of OpenAI.
    """
    deltas = []
    for completion in output.outputs:
        if completion.finish_reason not in _FINISH:
            raise EngineError(f"the engine ended the request ({completion.finish_reason})")
        finish_reason = _FINISH[completion.finish_reason]
        if not completion.token_ids and finish_reason is None:
            continue
        logprobs = None
        if completion.logprobs is not None:
            logprobs = [
                read_position(token_id, entries)
                for token_id, entries in zip(completion.token_ids, completion.logprobs, strict=True)
            ]
        delta = Delta(completion.index, completion.token_ids, finish_reason, logprobs)
        deltas.append(delta)
        deltas += [delta._replace(choice=copy) for copy in range(1, num_copies)]
    return deltas


def read_prompt_logprobs(output: Any) -> list[PositionLogprobs | None]:
    """One entry for each token of the prompt; None for the first."""
    return [
        None if entries is None else read_position(token_id, entries)
        for token_id, entries in zip(output.prompt_token_ids, output.prompt_logprobs, strict=True)
    ]


def read_position(token_id: int, entries: Mapping[int, Any]) -> PositionLogprobs:
    """vLLM's entries are those of the likeliest tokens, and that of the token itself if it is not among them."""
    tokens = [TokenLogprob(number, entry.logprob, entry.rank) for number, entry in entries.items()]
    chosen = next(token for token in tokens if token.token_id == token_id)
    if len(tokens) == 1:
        return PositionLogprobs(chosen, tokens if chosen.rank == 1 else ())
    return PositionLogprobs(chosen, sorted(tokens, key=_by_rank))


def _by_rank(token: TokenLogprob) -> tuple[int, float]:
    return (token.rank if token.rank is not None else 0, -token.logprob)
