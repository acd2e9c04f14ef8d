"""A run whose files were truncated is reported as damaged, never computed as a worse run."""

from __future__ import annotations

import shutil
from pathlib import Path

import pytest

from bench.cli.main import main
from tests.support.gateway import CHAT, answer, gateway
from tests.support.wire import WireServer


@pytest.fixture(scope="module")
def kept(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The folder of a run."""
    folder = tmp_path_factory.mktemp("runs")
    with WireServer(gateway({CHAT: answer})) as server, pytest.raises(SystemExit) as end:
        load = ("--concurrency", "2", "--num-requests", "40", "--output-len", "5")
        main(["--base-url", server.url, *load, "--result-dir", str(folder)])
    assert end.value.code == 0
    (run,) = folder.iterdir()
    return run


def report(folder: Path, capsys: pytest.CaptureFixture[str]) -> tuple[int, str, str]:
    capsys.readouterr()
    with pytest.raises(SystemExit) as end:
        main(["report", str(folder)])
    said = capsys.readouterr()
    assert isinstance(end.value.code, int)
    return end.value.code, said.out, said.err


@pytest.mark.parametrize(
    ("file", "cut", "says"),
    [
        ("moments.bin", 1600, "moments.bin: damaged: it holds "),
        ("moments.bin", 8, "moments.bin: damaged: it holds the ends of 39 of the 40 recorded requests"),
        ("moments.bin", 16, "moments.bin: damaged: it holds the ends of 39 of the 40 recorded requests"),
        ("moments.bin", None, "moments.bin: damaged: it holds 0 of the 200 token events of the recorded requests"),
        ("requests.jsonl", 3, "requests.jsonl: damaged: it lacks 1 of the 40 requests that ended"),
        ("requests.jsonl", None, "requests.jsonl: damaged: it lacks 40 of the 40 requests that ended"),
    ],
)
def test_a_truncated_file_is_damage(
    kept: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str], file: str, cut: int | None, says: str
) -> None:
    folder = Path(shutil.copytree(kept, tmp_path / "run"))
    data = (folder / file).read_bytes()
    (folder / file).write_bytes(b"" if cut is None else data[:-cut])
    code, out, err = report(folder, capsys)
    assert (code, out) == (2, "")
    assert says in err
    assert err.endswith("; the figures of the run are in its result.json\n")
    (folder / "result.json").unlink()
    assert "result.json" not in report(folder, capsys)[2]


def test_a_whole_run_is_not_damaged(kept: Path, capsys: pytest.CaptureFixture[str]) -> None:
    code, out, err = report(kept, capsys)
    assert (code, err) == (0, "")
    assert "✔ 40 ok" in out
