"""The version stands in `streamgauge/version.py`; everything that reports it takes it from there."""

from __future__ import annotations

import re
import subprocess
import sys
import tomllib
import zipfile
from pathlib import Path

import sdk
from streamgauge.version import __version__, version_line

ROOT = Path(__file__).parent.parent


def test_a_release_has_three_numbers_and_perhaps_a_pre_release() -> None:
    assert re.fullmatch(r"\d+\.\d+\.\d+(?:(?:a|b|rc)\d+)?", __version__)


def test_the_project_file_has_no_version_of_its_own() -> None:
    project = tomllib.loads((ROOT / "pyproject.toml").read_text())
    assert "version" not in project["project"]
    assert project["project"]["dynamic"] == ["version"]
    assert project["tool"]["hatch"]["version"] == {"path": "streamgauge/version.py"}


def test_the_packages_report_it() -> None:
    assert sdk.__version__ == __version__
    assert version_line() == f"streamgauge {__version__}"


def test_no_other_file_of_the_packages_spells_it() -> None:
    files = [
        path for package in ("sdk", "bench", "mock_server", "streamgauge") for path in (ROOT / package).rglob("*.py")
    ]
    assert [path.relative_to(ROOT) for path in files if f'"{__version__}"' in path.read_text()] == [
        Path("streamgauge/version.py")
    ]


def test_the_wheel_that_the_readme_installs_is_this_release() -> None:
    named = re.findall(r"streamgauge-([\w.]+?)-py3-none-any\.whl", (ROOT / "README.md").read_text())
    assert set(named) == {__version__}


def test_a_built_wheel_reports_it(tmp_path: Path) -> None:
    build = [sys.executable, "-m", "build", "--wheel", "--no-isolation", "--outdir", str(tmp_path), str(ROOT)]
    subprocess.run(build, check=True, capture_output=True, timeout=50)
    wheel = tmp_path / f"streamgauge-{__version__}-py3-none-any.whl"
    with zipfile.ZipFile(wheel) as files:
        metadata = files.read(f"streamgauge-{__version__}.dist-info/METADATA").decode()
    assert f"\nVersion: {__version__}\n" in metadata
    code = "from streamgauge.console import main; main()"
    said = subprocess.run(
        [sys.executable, "-S", "-c", code, "--version"],
        cwd=tmp_path,
        env={"PYTHONPATH": str(wheel)},
        capture_output=True,
        text=True,
        timeout=50,
        check=True,
    )
    assert said.stdout == f"streamgauge {__version__}\n"
