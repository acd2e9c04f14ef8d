"""What error messages tell people to install works for the copy they run: a checkout, a wheel, or a package index."""

from __future__ import annotations

import json
import os
import shlex
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

from streamgauge.install import install_command

pytestmark = pytest.mark.one_python

ROOT = Path(__file__).parent.parent.parent
PACKAGES = ("sdk", "bench", "mock_server", "streamgauge")


@pytest.fixture(scope="module")
def wheel(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("the wheel")
    build = [sys.executable, "-m", "build", "--wheel", "--no-isolation", "--outdir", str(folder), str(ROOT)]
    subprocess.run(build, check=True, capture_output=True, timeout=50)
    return next(folder.glob("*.whl"))


def pip(*arguments: str | Path, cwd: Path) -> str:
    command = [sys.executable, "-m", "pip", "install", "--no-index", "--no-deps", "--no-build-isolation"]
    done = subprocess.run([*command, *map(str, arguments)], cwd=cwd, capture_output=True, text=True, timeout=50)
    assert done.returncode == 0, done.stderr
    return done.stdout


def said_by(site: Path, *command: str, cwd: Path) -> str:
    """What a program says that runs from `site`, without the packages of this environment."""
    done = subprocess.run(
        [sys.executable, "-S", *command],
        cwd=cwd,
        env={**os.environ, "PYTHONPATH": str(site)},
        capture_output=True,
        text=True,
        timeout=50,
    )
    assert done.returncode == 1, done.stderr
    return done.stderr


def works(command: str, cwd: Path) -> bool:
    program, verb, *arguments = shlex.split(command)
    assert (program, verb) == ("pip", "install")
    return "Would install streamgauge" in pip("--dry-run", "--force-reinstall", *arguments, cwd=cwd)


def test_a_copy_from_a_wheel_names_the_wheel(wheel: Path, tmp_path: Path) -> None:
    site = tmp_path / "site"
    pip("--target", site, wheel, cwd=tmp_path)
    server = said_by(site, "-m", "mock_server", cwd=tmp_path)
    assert server.startswith("error: the server needs click, fastapi, httptools, ")
    assert f": pip install '{wheel}[server]'" in server
    assert works(server.partition("yaml: ")[2], tmp_path)
    bench = said_by(site, "-m", "bench", cwd=tmp_path)
    assert bench.startswith("error: the bench needs click, msgspec, numpy, PyYAML: pip install ")
    assert works(bench.partition("PyYAML: ")[2], tmp_path)
    console = said_by(
        site,
        "-c",
        "import streamgauge.console, sys; sys.argv = ['streamgauge', 'bench']; streamgauge.console.main()",
        cwd=tmp_path,
    )
    assert f"{wheel}[bench]" in console


def test_a_checkout_that_was_never_installed_names_its_folder(tmp_path: Path) -> None:
    checkout = tmp_path / "a checkout"
    for package in PACKAGES:
        shutil.copytree(ROOT / package, checkout / package, ignore=shutil.ignore_patterns("__pycache__"))
    for file in ("pyproject.toml", "README.md", "LICENSE"):
        shutil.copy(ROOT / file, checkout)
    inside = said_by(checkout, "-m", "mock_server", cwd=checkout).partition("yaml: ")[2]
    assert inside == "pip install '.[server]'\n"
    assert works(inside, checkout)
    outside = said_by(checkout, "-m", "mock_server", cwd=tmp_path).partition("yaml: ")[2]
    assert outside == f"pip install '{checkout}[server]'\n"
    assert works(outside, tmp_path)


def test_an_editable_install_stays_editable(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.chdir(ROOT)
    assert install_command("vllm") == "pip install -e '.[vllm]'"
    monkeypatch.chdir(tmp_path)
    assert install_command("vllm") == f"pip install -e '{ROOT}[vllm]'"


@pytest.mark.parametrize(
    ("recorded", "command"),
    [
        (None, "pip install 'streamgauge[bench]'"),
        (
            {"url": "https://host.example/streamgauge-1.whl", "archive_info": {}},
            "pip install 'streamgauge[bench] @ https://host.example/streamgauge-1.whl'",
        ),
        (
            {"url": "https://host.example/it.git", "vcs_info": {"vcs": "git", "commit_id": "abc"}},
            "pip install 'streamgauge[bench] @ git+https://host.example/it.git@abc'",
        ),
        (
            {"url": "file:///gone/streamgauge-1-py3-none-any.whl", "archive_info": {}},
            "pip install 'streamgauge-1-py3-none-any.whl[bench]'",
        ),
    ],
    ids=["from an index", "a wheel on the web", "a repository", "a wheel that is gone"],
)
def test_what_pip_recorded_decides(
    tmp_path: Path, wheel: Path, recorded: dict[str, object] | None, command: str
) -> None:
    site = tmp_path / "site"
    pip("--target", site, wheel, cwd=tmp_path)
    record = next(site.glob("*.dist-info")) / "direct_url.json"
    record.unlink()
    if recorded is not None:
        record.write_text(json.dumps(recorded))
    assert (
        said_by(site, "-m", "bench", cwd=tmp_path)
        == f"error: the bench needs click, msgspec, numpy, PyYAML: {command}\n"
    )
