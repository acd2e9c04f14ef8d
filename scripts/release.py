"""Builds the distribution of this version and tries it in bare environments. Publishes nothing and sets no tag.

usage: python -m scripts.release

What passed is in dist/; the two commands that are left for a person are printed at the end.
"""

from __future__ import annotations

import json
import os
import re
import shutil
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from datetime import UTC, datetime
from pathlib import Path

from scripts.changelog import obstacles
from streamgauge.version import __version__, version_line

ROOT = Path(__file__).resolve().parent.parent
HASHES = ROOT / "hashes" / "constraints.txt"
TAG = f"v{__version__}"

# what each set of extras must be able to do, from a folder that is not the checkout
TRIALS: dict[str, tuple[tuple[str, ...], ...]] = {
    "": (
        ("streamgauge", "--help"),
        ("python", "-c", "from sdk import *; from sdk.transport.fake import FakeTransport"),
    ),
    "server": (("streamgauge", "--help"), ("python", "-m", "mock_server", "--help")),
    "bench": (
        ("streamgauge", "--help"),
        ("python", "-m", "bench", "--concurrency", "2", "--num-requests", "8", "--result-dir", "runs"),
    ),
}


def main() -> None:
    """Check, build, try, and print what is left."""
    if problems := [*state_of_git(), *changelog()]:
        sys.exit("\n".join(f"error: {problem}" for problem in problems))
    with tempfile.TemporaryDirectory(prefix="release-") as made:
        folder = Path(made)
        files = build(folder / "dist")
        wheel = next(file for file in files if file.suffix == ".whl")
        for extra, commands in TRIALS.items():
            try_wheel(wheel, extra, commands, folder / (extra or "none"))
        dist = ROOT / "dist"
        dist.mkdir(exist_ok=True)
        kept = [Path(shutil.copy(file, dist)).relative_to(ROOT) for file in files]
    names = " ".join(map(str, kept))
    print(f"\n{version_line()} is built and tried: {names}\nLeft for a person:\n")
    print(f"  git tag -a {TAG} -m '{version_line()}' && git push origin {TAG}")
    print(f"  python -m twine upload {names}")


def state_of_git() -> list[str]:
    """Why this checkout cannot be released as it stands."""
    problems = []
    if changed := run("git", "status", "--porcelain", cwd=ROOT).splitlines():
        problems.append(f"{len(changed)} files are not committed, {changed[0][3:]} for one: commit or remove them")
    if run("git", "tag", "--list", TAG, cwd=ROOT).strip():
        problems.append(f"the tag {TAG} exists: set the next version in streamgauge/version.py")
    return problems


def changelog() -> list[str]:
    """Why CHANGELOG.md cannot be released as it stands."""
    return obstacles((ROOT / "CHANGELOG.md").read_text(), __version__, datetime.now(UTC).date())


def build(folder: Path) -> list[Path]:
    """The sdist, and the wheel that is built from it."""
    with step("building the sdist, and the wheel from it"):
        run(sys.executable, "-m", "build", "--no-isolation", "--outdir", str(folder), str(ROOT), cwd=ROOT)
    wanted = {f"streamgauge-{__version__}.tar.gz", f"streamgauge-{__version__}-py3-none-any.whl"}
    files = sorted(folder.iterdir())
    if {file.name for file in files} != wanted:
        sys.exit(f"error: the build made {[file.name for file in files]}, wanted are {sorted(wanted)}")
    return files


def try_wheel(wheel: Path, extra: str, commands: Sequence[Sequence[str]], folder: Path) -> None:
    """Install it into its own environment, with what its extra brings, and run what the extra is for."""
    environment, elsewhere = folder / "environment", folder / "elsewhere"
    elsewhere.mkdir(parents=True)
    programs = environment / "bin"
    with step(f"installing the wheel {f'with [{extra}]' if extra else 'without extras'}"):
        run(sys.executable, "-m", "venv", str(environment), cwd=folder)
        install = (str(programs / "python"), "-m", "pip", "install", "--disable-pip-version-check")
        wanted = f"{wheel}[{extra}]" if extra else str(wheel)
        plan = ("--dry-run", "--report", "report.json", "--only-binary", ":all:", "-c", str(ROOT / "constraints.txt"))
        run(*install, *plan, wanted, cwd=folder)
        report = json.loads((folder / "report.json").read_text())
        (folder / "lock.txt").write_text(locked({each["metadata"]["name"] for each in report["install"]}))
        run(*install, "--require-hashes", "--no-deps", "-r", "lock.txt", cwd=folder)
        run(*install, "--no-index", wanted, cwd=folder)
    installed = run(str(programs / "streamgauge"), "--version", cwd=elsewhere).strip()
    if installed != version_line():
        sys.exit(f"error: the wheel reports {installed!r}, wanted is {version_line()!r}")
    for program, *arguments in commands:
        with step(f"  {' '.join((program, *arguments))}"):
            run(str(programs / program), *arguments, cwd=elsewhere)


def locked(names: set[str]) -> str:
    """Of these packages, the versions and the hashes that `make setup` installs too."""
    entries = re.findall(r"^([\w.-]+)(==.*\n(?:    --hash=.*\n)+)", HASHES.read_text(), re.MULTILINE)
    wanted = {_normal(name) for name in names}
    return "".join(name + rest for name, rest in entries if _normal(name) in wanted)


def _normal(name: str) -> str:
    return re.sub(r"[-_.]+", "-", name).lower()


def run(*command: str, cwd: Path) -> str:
    """What a program printed. Ends this one, with all that it said, if it fails."""
    own = ("PYTHONPATH", "VIRTUAL_ENV", "OPENAI_BASE_URL", "OPENAI_API_KEY")
    environment = {name: value for name, value in os.environ.items() if name not in own}
    done = subprocess.run(command, cwd=cwd, env=environment, capture_output=True, text=True, timeout=600, check=False)
    if done.returncode:
        sys.exit(f"failed\n{done.stdout}{done.stderr}error: exit code {done.returncode} of {' '.join(command)}")
    return done.stdout


@contextmanager
def step(title: str) -> Iterator[None]:
    """Prints what is done, and how long it took."""
    print(f"{title} … ", end="", flush=True)
    start_s = time.monotonic()
    yield
    print(f"{time.monotonic() - start_s:.0f} s")


if __name__ == "__main__":
    main()
