"""The six figures of a call, computed as on ms-swift's page."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any

from mock_server.offline.batch import RowRun


def write_generation_info(info: dict[str, Any], runs: Iterable[RowRun], runtime_s: float) -> None:
    """Writes figures of the rows that have not failed. samples/s counts finished rows, tokens/s counts only generated
    tokens (of all n choices). `runtime_s` is the time since the call began, so it includes encoding.
    """
    good = [run for run in runs if run.error is None]
    num_samples = sum(run.is_finished for run in good)
    num_generated_tokens = sum(run.num_generated_tokens for run in good)
    info.update(
        {
            "num_prompt_tokens": sum(run.num_prompt_tokens for run in good),
            "num_generated_tokens": num_generated_tokens,
            "num_samples": num_samples,
            "runtime": runtime_s,
            "samples/s": num_samples / runtime_s,
            "tokens/s": num_generated_tokens / runtime_s,
        }
    )
