"""The output of a self-test fits the terminal and has the same content at every width."""

from __future__ import annotations

from pathlib import Path

import click
import pytest

from bench.records.result import Verdict
from bench.records.run import Certificate
from bench.report.selftest import SelfTestReport
from bench.truth.comparison import Comparison, Deviation
from bench.truth.selftest import SelfTest, Trial

CERTIFICATE = Certificate(
    tokens_per_s=12345, streams=256, ttft_error_ms=0.1, itl_error_ms=0.02, issued="2026", machine="a machine " * 9
)


def trial(name: str, about: str, error: float | None, outcome: str = "ok") -> Trial:
    found = []
    if error is not None:
        found = [
            Deviation(figure=figure, percent=percent, told=5 + error, true=5, claimed=None, limit=0.5)
            for figure in ("ttft", "itl", "e2e")
            for percent in ("50", "99")
        ]
    comparison = Comparison(
        requests=1200,
        outcomes={outcome: 1200},
        tokens=1,
        unlike=0,
        miscounted=0,
        unknown=0,
        tokens_per_s=1,
        true_tokens_per_s=1,
        deviations=found,
    )
    return Trial(name=name, about=about, streams=32, verdict=Verdict(level="untrustworthy"), comparison=comparison)


TRIALS = [
    trial("split", "events in two writes, cut in a character", 0.125),
    trial("error", "an error event half-way", None, "stream_error"),
    trial("1024", "1,024 streams", -12.5),
]


@pytest.mark.parametrize("width", [126, 125, 120, 80, 60, 50, 40])
def test_nothing_is_wider_than_the_terminal_and_nothing_is_lost(width: int) -> None:
    report = SelfTestReport(width)
    test = SelfTest(
        tool="t", started="2026", environment={}, shapes=TRIALS[:2], loads=TRIALS[2:], certificate=CERTIFICATE
    )
    parts = [report.heading("shapes", "32 streams, TTFT 20 ms, ITL 2 ms, 48 tokens; errors in ms (reported − true)")]
    parts += [report.trial_line(one) for one in TRIALS]
    parts.append(report.closing(test, Path("runs/certificate.json")))
    text = click.unstyle("\n".join(parts))
    assert max(map(len, text.splitlines())) <= width
    shown = " ".join(text.split())
    for words in ("cut in a character", "+0.125", "-12.5", "1,200 stream_error", "untrustworthy", "kept as"):
        assert words in shown
    assert "up to 256 streams, 12,345 tok/s" in shown


def test_a_wide_terminal_shows_a_table() -> None:
    lines = [click.unstyle(SelfTestReport(None).trial_line(one)) for one in TRIALS]
    assert {line.index("✔") for line in lines} == {98}
