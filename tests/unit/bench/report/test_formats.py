"""The table of formats: each can be printed, and what two of them need is computed once."""

from __future__ import annotations

import json
import subprocess
import sys
from typing import Any

import pytest

from bench.report.formats import FORMATS
from bench.report.material import Material
from bench.report.vllm import result_of
from bench.summary import summarize
from tests.support.serving import ROOT
from tests.unit.bench.rows import columns, moments
from tests.unit.bench.runs import run
from tests.unit.bench.test_summary import back_to_back

BEGINNINGS = {
    "console": "\x1b[1mstreamgauge 0.0",
    "markdown": "**m** on http",
    "csv": "window,figure,statistic",
    "json": "{",
    "vllm": "============ Serving",
}


@pytest.fixture(scope="module")
def material() -> Material:
    rows, facts = back_to_back(10), run()
    result = summarize(facts, columns(*rows), moments(*rows))
    return Material(result, facts, columns(*rows), moments(*rows))


@pytest.mark.parametrize("name", FORMATS)
def test_each_format_can_show_a_run(material: Material, name: str) -> None:
    text = FORMATS[name].show(material)
    assert text.startswith(BEGINNINGS[name])
    assert text.endswith("\n")
    assert FORMATS[name].has_styles == ("\x1b[" in text)


def test_only_the_json_keeps_text_that_a_terminal_would_obey() -> None:
    rows, facts = back_to_back(10), run()
    facts.target.model = "m\x1b[2J"
    material = Material(summarize(facts, columns(*rows), moments(*rows)), facts, columns(*rows), moments(*rows))
    assert json.loads(FORMATS["json"].show(material))["target"]["model"] == "m\x1b[2J"
    for name, form in FORMATS.items():
        assert "\x1b[2J" not in form.show(material), name


def test_what_two_outputs_need_is_computed_once(material: Material) -> None:
    calls = []

    def count(given: Material) -> dict[str, Any]:
        calls.append(given)
        return result_of(given)

    assert material.once(count) is material.once(count)
    assert calls == [material]


def test_no_format_is_imported_before_it_is_printed() -> None:
    code = "import sys, bench.report.formats; print(*sys.modules)"
    done = subprocess.run([sys.executable, "-c", code], cwd=ROOT, capture_output=True, text=True, check=True)
    assert not {"numpy", *(form.module for form in FORMATS.values())} & set(done.stdout.split())
