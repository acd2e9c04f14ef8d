"""What `make release` reads off CHANGELOG.md."""

from __future__ import annotations

from datetime import date
from pathlib import Path

import pytest

from scripts.changelog import Section, obstacles, sections

pytestmark = pytest.mark.one_python

ROOT = Path(__file__).parent.parent
TODAY = date(2026, 12, 1)
LINE = "## [0.2.0] - 2026-12-01"
HEAD = "# Changelog\n\nNotable changes.\n\n"
READY = f"{HEAD}## [Unreleased]\n\n{LINE}\n\n### Added\n\n- A thing,\n  in two lines.\n- Another.\n"


def test_sections_have_a_name_a_date_and_entries() -> None:
    assert sections(READY) == [
        Section("Unreleased", None, ()),
        Section("0.2.0", "2026-12-01", ("A thing,", "Another.")),
    ]
    assert sections("") == []


def test_the_changelog_of_this_checkout_can_be_read() -> None:
    first, *releases = sections((ROOT / "CHANGELOG.md").read_text())
    assert first.name == "Unreleased"
    assert all(release.date and release.entries for release in releases)


def test_a_section_with_a_date_and_entries_is_ready() -> None:
    assert obstacles(READY, "0.2.0", TODAY) == []


def test_older_releases_may_stand_below() -> None:
    assert obstacles(READY + "\n## [0.1.0] - 2026-11-01\n\n- The first.\n", "0.2.0", TODAY) == []


@pytest.mark.parametrize(
    ("text", "problem"),
    [
        (
            HEAD + "## [Unreleased]\n\n- A thing.\n",
            f"CHANGELOG.md has no section for 0.2.0: add the line {LINE!r} between Unreleased and its entries",
        ),
        (HEAD, f"CHANGELOG.md has no section for 0.2.0: add the line {LINE!r} with the entries of this release"),
        (
            READY.replace(" - 2026-12-01", ""),
            f"the section for 0.2.0 must have a date: make its heading {LINE!r} (got None)",
        ),
        (
            READY.replace("2026-12-01", "2026-13-01"),
            f"the section for 0.2.0 must have a date: make its heading {LINE!r} (got '2026-13-01')",
        ),
        (
            READY.replace("2026-12-01", "20261201"),
            f"the section for 0.2.0 must have a date: make its heading {LINE!r} (got '20261201')",
        ),
        (HEAD + LINE, "the section for 0.2.0 has no entries: say what changed"),
        (
            READY.replace("## [Unreleased]\n", "## [Unreleased]\n\n- Too late.\n- This too.\n"),
            (
                "2 entries stand under Unreleased, the first is 'Too late.': a release has all that is committed, "
                "so move them to the section for 0.2.0"
            ),
        ),
        (
            READY.replace("## [Unreleased]\n", "## [Unreleased]\n\n## [0.3.0] - 2027-01-01\n\n- Newer.\n"),
            "0.3.0 stands above 0.2.0: the newest release must be first",
        ),
    ],
    ids=["no section", "nothing", "no date", "no such date", "another form", "no entries", "unreleased", "not newest"],
)
def test_each_obstacle_names_its_remedy(text: str, problem: str) -> None:
    assert obstacles(text, "0.2.0", TODAY) == [problem]
