"""One line of an evaluation's results: a row of the dataset with the model's answer, or with its error. Pure."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from mock_server.dataset.sample import Sample


class ResultError(ValueError):
    """A line is not a result. The message lacks the place."""


@dataclass(frozen=True, slots=True)
class RowResult:
    """What the summary needs of a line. `session` counts the runs that wrote the file, and `at_s` is when the row was
    finished in its session. `exact_match` and `rouge_l` are None for rows without a label.
    """

    index: int
    session: int
    at_s: float
    is_good: bool
    prompt_tokens: int | None = None
    tokens: int | None = None
    exact_match: bool | None = None
    rouge_l: float | None = None


def question_fields(index: int, sample: Sample) -> dict[str, Any]:
    """The part of a line that is known before the answer."""
    *before, last = sample.messages
    fields: dict[str, Any] = {"index": index, "origin": sample.origin, "query": last.content, "label": sample.response}
    if before and before[0].role == "system":
        fields["system"] = before.pop(0).content
    if before:
        contents = [message.content for message in before]
        fields["history"] = [list(pair) for pair in zip(contents[::2], contents[1::2], strict=True)]
    return fields


def read_result(line: Mapping[str, Any]) -> RowResult:
    """The reverse. Raises `ResultError`."""
    try:
        return RowResult(
            index=_whole(line["index"]),
            session=_whole(line["session"]),
            at_s=float(line["at_s"]),
            is_good=line["error"] is None,
            prompt_tokens=line["num_prompt_tokens"],
            tokens=line["num_generated_tokens"],
            exact_match=line["exact_match"],
            rouge_l=line["rouge_l"],
        )
    except (KeyError, TypeError, ValueError) as error:
        raise ResultError(f"is not a result of an evaluation ({type(error).__name__}: {error})") from None


def _whole(value: Any) -> int:
    if isinstance(value, bool) or not isinstance(value, int) or value < 0:
        raise ValueError(f"{value!r} is not a number of a row or run")
    return value
