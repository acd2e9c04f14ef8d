"""The datasets that a command names: files, or the built-in one, each with a number of rows or all of them."""

from __future__ import annotations

import os
import random
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TypeVar

from mock_server.dataset.rows import DatasetError, read_samples
from mock_server.dataset.sample import Sample
from mock_server.dataset.self_cognition import NAME as SELF_COGNITION
from mock_server.dataset.self_cognition import Identity, self_cognition
from mock_server.engine.wording import Setting
from streamgauge.nearest import did_you_mean

_T = TypeVar("_T")


@dataclass(frozen=True, slots=True)
class DatasetSource:
    """`name` is a file or a built-in dataset. `count` is None for all rows."""

    name: str
    count: int | None = None

    def __str__(self) -> str:
        return self.name if self.count is None else f"{self.name}#{self.count}"


def parse_source(text: str) -> DatasetSource:
    """Reads `NAME` or `NAME#COUNT`. A file whose name ends so is taken whole. Raises `DatasetError`."""
    name, mark, count = text.rpartition("#")
    if not mark or Path(text).exists():
        return DatasetSource(text)
    if not (count.isascii() and count.isdigit() and int(count) > 0):
        raise DatasetError(
            Setting("dataset", text),
            f": the number of rows after # must be 1 or more (got {count!r}): leave it out for all",
        )
    if not name:
        raise DatasetError(Setting("dataset", text), " names no dataset before the #")
    return DatasetSource(name, int(count))


def load_samples(sources: Sequence[DatasetSource], *, seed: int, identity: Identity | None = None) -> list[Sample]:
    """All samples of all sources, in their order. Fewer rows than there are: drawn by the seed. More: all of them again
    and again. `identity` is what self-cognition is made from.

    Raises `DatasetError`.
    """
    return [sample for source in sources for sample in _chosen(_all(source, identity), source.count, seed)]


def _all(source: DatasetSource, identity: Identity | None) -> list[Sample]:
    file = Path(source.name).expanduser()
    if file.is_file():
        return read_samples(file)
    if source.name == SELF_COGNITION:
        if identity is None:
            name, author = Setting("model_name"), Setting("model_author")
            raise DatasetError(f"the dataset {SELF_COGNITION} is made from ", name, " and ", author, ": give both")
        return self_cognition(identity)
    if file.is_dir():
        raise DatasetError(Setting("dataset", source.name), " is a folder: name a JSONL file in it")
    if _looks_like_file(source.name):
        raise DatasetError(Setting("dataset", source.name), ": there is no such file")
    raise DatasetError(
        Setting("dataset", source.name),
        f" is neither a file here nor built in ({SELF_COGNITION}).{did_you_mean(source.name, [SELF_COGNITION])}"
        " Datasets of a hub are not downloaded: get it yourself, write it as JSONL with query and response on each"
        " line, and name that file",
    )


def _looks_like_file(name: str) -> bool:
    return name.startswith((os.sep, ".", "~")) or name.endswith((".jsonl", ".json", ".csv", ".txt", ".parquet"))


def _chosen(rows: Sequence[_T], count: int | None, seed: int) -> list[_T]:
    if count is None:
        return list(rows)
    passes, rest = divmod(count, len(rows))
    drawn = sorted(random.Random(seed).sample(range(len(rows)), rest))
    return [*rows] * passes + [rows[number] for number in drawn]
