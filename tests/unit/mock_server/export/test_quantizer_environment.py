from __future__ import annotations

import hashlib
import re
from pathlib import Path

import pytest

from mock_server.export import quantizer_environment
from mock_server.export.errors import ExportError
from mock_server.export.quantizer_environment import default_folder, install, quantizer_python

PINS = Path(quantizer_environment.__file__).with_name("quantizer-pins.txt")


def ready(folder: Path, pins: bytes) -> Path:
    python = folder / "bin" / "python"
    python.parent.mkdir(parents=True)
    python.touch()
    (folder / ".ready").write_text(hashlib.sha256(pins).hexdigest())
    return python


def test_without_the_environment_the_command_that_makes_it_is_named(tmp_path: Path) -> None:
    with pytest.raises(ExportError, match=f"not installed .* --install-quantizer --quantizer-dir {tmp_path}"):
        quantizer_python(tmp_path)


def test_an_environment_of_other_versions_is_out_of_date(tmp_path: Path) -> None:
    ready(tmp_path, b"llmcompressor==0.1")
    with pytest.raises(ExportError, match="is out of date"):
        quantizer_python(tmp_path)


def test_an_environment_of_these_versions_is_used_and_not_made_again(tmp_path: Path) -> None:
    python = ready(tmp_path, PINS.read_bytes())
    assert quantizer_python(tmp_path) == python
    said: list[str] = []
    install(tmp_path, said.append)
    assert said == [f"the quantizer is in {tmp_path}"]


def test_a_folder_with_other_files_is_not_cleared(tmp_path: Path) -> None:
    folder = tmp_path / "mine"
    folder.mkdir()
    (folder / "thesis.txt").touch()
    with pytest.raises(ExportError, match="holds other files"):
        install(folder, print)
    assert (folder / "thesis.txt").exists()


def test_the_cache_is_where_the_user_has_it(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path))
    assert default_folder() == tmp_path / "streamgauge" / "quantizer"


def test_every_version_is_pinned() -> None:
    lines = [line for line in PINS.read_text().splitlines() if not line.startswith("#")]
    assert all(re.fullmatch(r"[\w.-]+==[\w.]+", line) for line in lines)
    assert {"llmcompressor", "torch", "uv"} <= {line.partition("==")[0] for line in lines}
