"""docs/README.md leads to every page, and no link in any page is dead."""

from __future__ import annotations

import re
from pathlib import Path

import pytest

pytestmark = pytest.mark.one_python

ROOT = Path(__file__).parent.parent
DOCS = ROOT / "docs"
PAGES = [*sorted(DOCS.rglob("*.md")), *sorted(ROOT.glob("*.md"))]


def links(page: Path) -> list[str]:
    """Where the links of a page lead, those to other sites aside."""
    text = re.sub(r"^```.*?^```", "", page.read_text(), flags=re.MULTILINE | re.DOTALL)
    return [link for link in re.findall(r"\]\(([^)\s]+)\)", text) if "://" not in link]


def anchors(page: Path) -> set[str]:
    """The names of a page's headings, as GitHub makes them."""
    text = re.sub(r"^```.*?^```", "", page.read_text(), flags=re.MULTILINE | re.DOTALL)
    headings = re.findall(r"^#+ (.*)$", text, re.MULTILINE)
    return {re.sub(r"[^\w\- ]", "", heading.lower()).replace(" ", "-") for heading in headings}


def test_the_index_has_a_line_for_each_page() -> None:
    lines = re.findall(r"^\| \[.*\]\((.*)\) \| \S", (DOCS / "README.md").read_text(), re.MULTILINE)
    pages = {str(path.relative_to(DOCS)) for path in DOCS.rglob("*") if path.is_file()} - {"README.md"}
    assert {page for page in pages if not page.startswith("images/")} - set(lines) == set()


def test_each_image_is_on_a_page_and_small() -> None:
    shown = {(page.parent / link).resolve() for page in PAGES for link in links(page)}
    images = set((DOCS / "images").iterdir())
    assert images - shown == set()
    assert [image.name for image in images if image.stat().st_size > 150_000] == []


@pytest.mark.parametrize("page", PAGES, ids=lambda page: str(page.relative_to(ROOT)))
def test_each_link_leads_somewhere(page: Path) -> None:
    for link in links(page):
        path, _, anchor = link.partition("#")
        target = (page.parent / path).resolve() if path else page
        assert target.exists(), link
        if anchor:
            assert anchor in anchors(target), link
