"""What every format of the report is made from."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field
from functools import cached_property
from pathlib import Path
from typing import Any, TypeVar

from bench.figures.token_flow import Moments
from bench.records.record import Columns
from bench.records.result import Result
from bench.records.run import Run
from bench.shown_text import shown_struct

_Made = TypeVar("_Made")


@dataclass(frozen=True)
class Material:
    """One run with its result. `width` is that of the terminal, `program` the command that started the bench."""

    result: Result
    run: Run
    columns: Columns
    moments: Moments
    folder: Path | None = None
    width: int | None = None
    program: str = "python -m bench"
    _made: dict[Callable[[Material], Any], Any] = field(default_factory=dict, init=False, repr=False)

    @cached_property
    def shown(self) -> Result:
        """The result with every text made fit to be shown."""
        return shown_struct(self.result)

    def once(self, make: Callable[[Material], _Made]) -> _Made:
        """What `make` returns for this material. It is called only once, whoever asks."""
        if make not in self._made:
            self._made[make] = make(self)
        made: _Made = self._made[make]
        return made
