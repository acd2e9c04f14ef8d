"""Which rows are held back to evaluate a model while it is trained. Pure."""

from __future__ import annotations

import dataclasses
import random
from collections.abc import Iterable, Sequence

from mock_server.dataset.rows import DatasetError
from mock_server.dataset.sample import Message, Sample
from mock_server.engine.wording import Setting


def with_answers(samples: Iterable[Sample], system: str | None) -> list[Sample]:
    """The rows with `system` where they have no system message. Raises `DatasetError` for a row without an answer."""
    ready = []
    for sample in samples:
        if not sample.response:
            raise DatasetError(f"{sample.origin} has no response: a row to train on needs one")
        if system is not None and sample.messages[0].role != "system":
            sample = dataclasses.replace(sample, messages=(Message("system", system), *sample.messages))
        ready.append(sample)
    return ready


def split(samples: Sequence[Sample], ratio: float, seed: int) -> tuple[list[Sample], list[Sample]]:
    """The rows to train on, and at least `ratio` of all that are held back. Equal rows stay together.

    Raises `DatasetError` if nothing would be left to train on.
    """
    if not ratio:
        return list(samples), []
    kinds = sorted({(sample.messages, sample.response or "") for sample in samples})
    random.Random(seed).shuffle(kinds)
    wanted, held = ratio * len(samples), set[tuple[tuple[Message, ...], str]]()
    counts = dict.fromkeys(kinds, 0)
    for sample in samples:
        counts[sample.messages, sample.response or ""] += 1
    taken = 0
    for kind in kinds:
        if taken >= wanted:
            break
        held.add(kind)
        taken += counts[kind]
    train = [sample for sample in samples if (sample.messages, sample.response or "") not in held]
    val = [sample for sample in samples if (sample.messages, sample.response or "") in held]
    if not train:
        raise DatasetError(
            Setting("dataset_test_ratio", ratio),
            f" leaves nothing to train on: the dataset has {len(kinds)} different rows. Give more rows, or set it to 0",
        )
    return train, val
