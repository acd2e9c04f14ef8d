"""The formats of the report by name. To add one, write its module with a function `show` and add a row here.

A module is imported when its format is printed: NumPy, which most of them need, would slow down every `--help`.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from importlib import import_module
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from bench.report.material import Material


@dataclass(frozen=True, slots=True)
class Format:
    """One format: the module whose `show` returns its text, and a few words for help texts, if it needs any."""

    module: str
    summary: str = ""
    has_styles: bool = False

    def show(self, material: Material) -> str:
        """The whole text."""
        show: Callable[[Material], str] = import_module(self.module).show
        return show(material)


FORMATS = {
    "console": Format("bench.report.console", has_styles=True),
    "markdown": Format("bench.report.markdown", "for a pull request"),
    "csv": Format("bench.report.spreadsheet", "one row per figure and percentile"),
    "json": Format("bench.report.native"),
    "vllm": Format("bench.report.vllm", "the text of vllm bench serve"),
}


def listed_formats() -> str:
    """All names with their summaries, for a help text."""
    return ", ".join(f"{name} ({form.summary})" if form.summary else name for name, form in FORMATS.items())
