"""Limits the log probabilities in one answer: each takes a hundred bytes or more until the answer is sent."""

from collections.abc import Sequence

from .errors import bad_request
from .generation import PromptRun

MAX_OF_PROMPTS = 100_000
MAX_OF_ANSWER = 500_000


def check_prompts(runs: Sequence[PromptRun], field: str) -> None:
    """Raises `ApiError` (400) before any is computed."""
    wanted = sum(
        len(run.token_ids) * (1 + run.params.prompt_logprobs) * run.params.n
        for run in runs
        if run.params.prompt_logprobs is not None
    )
    if wanted > MAX_OF_PROMPTS:
        raise bad_request(
            f"{field} asks for {wanted} log probabilities of prompts; one answer may have at most {MAX_OF_PROMPTS}:"
            " ask for fewer of the likeliest tokens, or send shorter prompts",
            param=field,
        )


def check_answer(count: int) -> None:
    """Raises `ApiError` (400) if an answer that is not streamed has too many."""
    if count > MAX_OF_ANSWER:
        raise bad_request(
            f"logprobs: the answer has more than {MAX_OF_ANSWER} log probabilities, the limit for answers that are not"
            " streamed: stream it, or ask for fewer",
            param="logprobs",
        )
