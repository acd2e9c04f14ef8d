"""What holds for every test."""

from __future__ import annotations

import os

import pytest
from hypothesis import settings

# whose machine this is must not matter
for name in ("OPENAI_BASE_URL", "OPENAI_API_KEY", "SDK_TIMEOUT", "TIMEOUT"):
    os.environ.pop(name, None)

# how long an example takes says more about the machine than about the code
settings.register_profile("no deadline", deadline=None)
settings.load_profile("no deadline")


def pytest_terminal_summary(terminalreporter: pytest.TerminalReporter) -> None:
    """The figures of tests that measure how long another client of a server waits, and how much memory is taken."""
    figures: dict[str, list[float]] = {}
    for report in terminalreporter.getreports("passed") + terminalreporter.getreports("failed"):
        for name, value in report.user_properties:
            figures.setdefault(name, []).append(float(str(value)))
    for name, unit, scale in (("longest wait for /health", "ms", 1000), ("server memory", "MB", 1)):
        if values := sorted(figures.get(name, ())):
            median, most = values[len(values) // 2] * scale, values[-1] * scale
            terminalreporter.write_line(
                f"{name}: median {median:.0f} {unit}, most {most:.0f} {unit} ({len(values)} tests)"
            )
