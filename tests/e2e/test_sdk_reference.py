"""The reference page names every public name, and its examples run as one program."""

from __future__ import annotations

import re
from pathlib import Path

import pytest

import sdk
from tests.support.serving import serving, simulated_engine

ROOT = Path(__file__).parents[2]
PAGE = (ROOT / "docs" / "sdk-reference.md").read_text()
IN_PROCESS = (ROOT / "docs" / "in-process.md").read_text()


@pytest.mark.parametrize("name", sdk.__all__)
def test_each_public_name_is_on_a_page(name: str) -> None:
    assert re.search(rf"`{name}\b", PAGE) or re.search(rf"\b{name}\b", IN_PROCESS)
    assert getattr(sdk, name).__doc__


def test_the_examples_run(capsys: pytest.CaptureFixture[str]) -> None:
    blocks = re.findall(r"```python\n(.*?)```", PAGE, re.DOTALL)
    assert len(blocks) > 5
    with serving(simulated_engine()) as served:
        program = "\n".join(blocks).replace("http://127.0.0.1:8000", served.root)
        exec(compile(program, "docs/sdk-reference.md", "exec"), {"__name__": "examples"})
    said = capsys.readouterr().out
    assert "(got 'hot')" in said
    assert "404" in said
