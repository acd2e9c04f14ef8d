"""`python -m bench selftest`: a truth server of its own, every shape, exact counts."""

from __future__ import annotations

import json
import signal
import subprocess
import sys
from pathlib import Path

from bench.truth.script import SHAPES
from tests.support.serving import ROOT

COMMAND = [sys.executable, "-m", "bench", "selftest"]


def test_every_shape_is_read_and_counted_exactly(tmp_path: Path) -> None:
    out = tmp_path / "selftest.json"
    done = subprocess.run(
        [*COMMAND, "--most-streams", "0", "--shape-duration", "150ms", "--json", str(out)],
        cwd=ROOT,
        capture_output=True,
        text=True,
        timeout=100,
    )
    assert done.returncode in (0, 1)  # how well it kept up is the machine's affair
    assert done.stderr == ""
    test = json.loads(out.read_text())
    assert [trial["name"] for trial in test["shapes"]] == list(SHAPES)
    for trial in test["shapes"]:
        found = trial["comparison"]
        assert (found["unlike"], found["miscounted"], found["unknown"], found["starters"]) == (0, 0, 0, 0)
        assert (found["unfounded"], trial["blamed"]) == ([], [])
        assert set(found["outcomes"]) == set(SHAPES[trial["name"]].outcomes)
        assert found["requests"] >= 16  # of 32 streams, in a time in which a busy machine may not start them all
        assert f"\n  {trial['name']}: " in done.stdout
    assert test["certificate"] is None
    assert max(len(line) for line in done.stdout.splitlines()) <= 118


def test_a_load_that_is_measured_well_earns_a_certificate_beside_the_results(tmp_path: Path) -> None:
    """Whether this machine has the calm for it is another matter: then none is kept."""
    arguments = ("--shapes", "one", "--shape-duration", "100ms", "--most-streams", "128", "--load-duration", "2s")
    done = subprocess.run(
        [*COMMAND, *arguments, "--result-dir", str(tmp_path), "--json", "-"],
        cwd=ROOT,
        capture_output=True,
        text=True,
        timeout=100,
    )
    test = json.loads(done.stdout)
    (load,) = test["loads"]
    assert load["streams"] == 128
    assert "128 streams" in done.stderr
    kept = tmp_path / "certificate.json"
    if test["certificate"] is None:
        assert not kept.exists()
        assert "no certificate: " in done.stderr
    else:
        assert json.loads(kept.read_text()) == test["certificate"]
        assert f"kept as      {kept}" in done.stderr


def test_wrong_use_is_one_line() -> None:
    wrong = {
        ("--shapes", "odd"): f"error: --shapes must be one of {', '.join(SHAPES)} (got 'odd')\n",
        ("--most-streams", "-1"): "error: --most-streams must be at least 0 (got -1)\n",
        ("--json", "/nowhere/s.json"): "error: --json /nowhere/s.json: there is no folder /nowhere\n",
    }
    for arguments, said in wrong.items():
        done = subprocess.run([*COMMAND, *arguments], cwd=ROOT, capture_output=True, text=True, timeout=50)
        assert (done.returncode, done.stdout, done.stderr) == (2, "", said)


def test_it_can_be_interrupted() -> None:
    process = subprocess.Popen(COMMAND, cwd=ROOT, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True)
    assert process.stdout is not None
    while "one: " not in process.stdout.readline():
        assert process.poll() is None
    process.send_signal(signal.SIGINT)
    _, err = process.communicate(timeout=50)
    assert (process.returncode, err) == (130, "interrupted: no certificate\n")
