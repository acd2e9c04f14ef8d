"""Turns checks into one word: trusted, degraded or untrustworthy, with the reasons. Pure."""

from __future__ import annotations

from bench.records.result import Check, Level, Reason, Verdict

# A check this many times over its limit makes the figures worthless, not just worse.
_HOPELESS = 10.0


def decide(checks: list[Check]) -> Verdict:
    """The verdict that follows from these checks."""
    failed = [check for check in checks if check.status == "fail"]
    level: Level = "trusted"
    if failed:
        level = "untrustworthy" if any(map(_is_hopeless, failed)) else "degraded"
    reasons = [Reason(code=c.code, value=c.value, limit=c.limit, remedy=c.remedy) for c in failed]
    return Verdict(level=level, reasons=reasons)


def _is_hopeless(check: Check) -> bool:
    if check.code == "no_request_succeeded":
        return True
    return bool(check.unit == "ms" and check.value and check.limit and check.value >= _HOPELESS * check.limit)
