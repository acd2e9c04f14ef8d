"""From checks to one word: trusted, degraded or untrustworthy, each step down with its reason. Pure."""

from __future__ import annotations

from bench.records.result import Check, Level, Reason, Verdict

# How many times over its limit a check makes the figures worthless rather than worse.
_HOPELESS = 10.0


def decide(checks: list[Check]) -> Verdict:
    """The verdict that these checks carry."""
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
