"""The figures of a whole evaluation. Pure."""

from __future__ import annotations

from collections.abc import Collection, Iterable
from typing import Any

from mock_server.infer.result_row import RowResult


def runtime_s(results: Iterable[RowResult]) -> float:
    """The time of all runs that wrote the results, each until its last row: what came after that is not known of a run
    that was killed.
    """
    ends: dict[int, float] = {}
    for result in results:
        ends[result.session] = max(ends.get(result.session, 0.0), result.at_s)
    return sum(ends.values())


def summarize(results: Collection[RowResult]) -> dict[str, Any]:
    """The six figures of ms-swift's page, over the rows that were answered, and the scores of those with a label.

    tokens/s counts generated tokens only. The rates divide by the runtime, which includes building the requests.
    """
    good = [result for result in results if result.is_good]
    labelled = [result for result in good if result.rouge_l is not None]
    seconds = runtime_s(results)
    generated = sum(result.tokens or 0 for result in good)
    return {
        "num_prompt_tokens": sum(result.prompt_tokens or 0 for result in good),
        "num_generated_tokens": generated,
        "num_samples": len(good),
        "runtime": round(seconds, 3),
        "samples/s": round(len(good) / seconds, 3) if seconds else 0.0,
        "tokens/s": round(generated / seconds, 3) if seconds else 0.0,
        "num_failed": len(results) - len(good),
        "num_labelled": len(labelled),
        "exact_match": _mean([float(bool(result.exact_match)) for result in labelled]),
        "rouge_l": _mean([result.rouge_l for result in labelled if result.rouge_l is not None]),
    }


def _mean(values: Collection[float]) -> float | None:
    return round(sum(values) / len(values), 4) if values else None


def summary_text(summary: dict[str, Any]) -> str:
    width = max(map(len, summary))
    return "\n".join(f"{name:<{width}}  {_shown(value)}" for name, value in summary.items())


def _shown(value: Any) -> str:
    if value is None:
        return "n/a (no row has a label)"
    return f"{value:,}" if isinstance(value, int) else f"{value:,.3f}"
