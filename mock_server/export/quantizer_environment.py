"""The environment that has the quantizer: it needs other versions of packages than the engines do."""

from __future__ import annotations

import fcntl
import hashlib
import os
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

from mock_server.engine.wording import Part, Setting
from mock_server.export.destination import check_room
from mock_server.export.errors import ExportError

_PINS = Path(__file__).with_name("quantizer-pins.txt")
_READY = ".ready"
_NEEDED = 3_000_000_000
_LONGEST_REASON = 400


def default_folder() -> Path:
    """In the user's cache."""
    cache = os.environ.get("XDG_CACHE_HOME")
    return (Path(cache) if cache else Path.home() / ".cache") / "streamgauge" / "quantizer"


def quantizer_python(folder: Path) -> Path:
    """The interpreter of the environment. Raises `ExportError` with the command that makes it."""
    python = folder / "bin" / "python"
    if _stamp(folder) != _wanted() or not python.exists():
        where: list[Part] = [] if folder == default_folder() else [" ", Setting("quantizer_dir", str(folder))]
        what = "is out of date" if python.exists() else "is not installed"
        command = "python -m mock_server export --install-quantizer"
        raise ExportError(f"the quantizer {what} (an environment of its own, 2 GB); run: {command}", *where)
    return python


def install(folder: Path, say: Callable[[str], None]) -> None:
    """Makes the environment, or does nothing if it is there. Safe to interrupt and to repeat. Raises `ExportError`."""
    try:
        folder.parent.mkdir(parents=True, exist_ok=True)
        handle = os.open(folder.with_name(f".{folder.name}.lock"), os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o644)
    except OSError as error:
        raise ExportError(
            Setting("quantizer_dir", str(folder)), f" cannot be made: {error.strerror or error}"
        ) from None
    try:
        fcntl.flock(handle, fcntl.LOCK_EX)  # a second one waits, and finds it made
        if _stamp(folder) == _wanted():
            say(f"the quantizer is in {folder}")
            return
        if folder.exists() and not (folder / "pyvenv.cfg").exists() and any(folder.iterdir()):
            raise ExportError(
                Setting("quantizer_dir", str(folder)), " holds other files: name an empty or a new folder"
            )
        check_room(folder, _NEEDED)
        say(f"installing the quantizer into {folder} (2 GB; minutes) …")
        _step([sys.executable, "-m", "venv", "--clear", str(folder)])
        pip = [str(folder / "bin" / "python"), "-m", "pip", "install", "--quiet", "--disable-pip-version-check"]
        _step([*pip, *_pin("uv")])
        _step(_uv(folder))
        (folder / _READY).write_text(_wanted(), "utf-8")
        say(f"the quantizer is in {folder}")
    finally:
        os.close(handle)


def _uv(folder: Path) -> list[str]:
    """uv knows where builds of torch for the machine's GPU, or for none, come from, unless a folder has one."""
    links = os.environ.get("PIP_FIND_LINKS", "").split()
    builds = [build for link in links for build in Path(link.removeprefix("file://")).glob("torch-*+cpu-*.whl")]
    where = [] if builds else ["--torch-backend", "auto"]
    where += [word for link in links for word in ("--find-links", link)]
    python = str(folder / "bin" / "python")
    return [str(folder / "bin" / "uv"), "pip", "install", "--quiet", "--python", python, *where, "-r", str(_PINS)]


def _pin(name: str) -> list[str]:
    return [line for line in _PINS.read_text("utf-8").splitlines() if line.startswith(f"{name}==")]


def _step(command: list[str]) -> None:
    environment = {name: value for name, value in os.environ.items() if name != "PYTHONPATH"}
    index = environment.get("PIP_INDEX_URL")
    if index:
        environment.setdefault("UV_DEFAULT_INDEX", index)
    ended = subprocess.run(command, env=environment, capture_output=True, text=True, check=False)  # noqa: S603
    if ended.returncode:
        said = " ".join((ended.stderr.strip() or ended.stdout.strip()).split())[-_LONGEST_REASON:]
        raise ExportError(f"the quantizer could not be installed: {said}")


def _stamp(folder: Path) -> str:
    try:
        return (folder / _READY).read_text("utf-8")
    except OSError:
        return ""


def _wanted() -> str:
    return hashlib.sha256(_PINS.read_bytes()).hexdigest()
