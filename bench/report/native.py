"""The report as JSON: the result in its own schema, with nothing left out."""

from __future__ import annotations

from bench.records.run_folder import to_json
from bench.report.material import Material


def show(material: Material) -> str:
    """The text for `--format json`."""
    return to_json(material.result).decode()
