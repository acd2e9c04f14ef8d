from __future__ import annotations

import math
import pickle
import socket
from dataclasses import replace

import pytest

from sdk.deadline import AFTER_FINISH_S, LONGEST_S, SECOND_NS, Deadline, Timeouts, timeouts
from sdk.errors import ConfigError, ConnectTimeoutError, StallTimeoutError, TotalTimeoutError


def at(seconds: float) -> int:
    return int(seconds * SECOND_NS)


def test_the_nearest_limit_counts() -> None:
    deadline = Deadline(Timeouts(total=10, connect=2, stall=3), now_ns=0)
    assert deadline.expires_ns() == at(10)
    deadline.enter("connect", at(1))
    assert deadline.expires_ns() == at(3)
    assert deadline.error(at(2.9)) is None
    assert isinstance(deadline.error(at(3)), ConnectTimeoutError)
    deadline.enter("stall", at(8))
    assert deadline.expires_ns() == at(10)
    assert isinstance(deadline.error(at(10.5)), TotalTimeoutError)


def test_only_a_token_restarts_the_stall_limit() -> None:
    deadline = Deadline(Timeouts(total=None, stall=3), now_ns=0)
    deadline.enter("stall", 0)
    deadline.progress(at(2))
    assert deadline.error(at(4.9)) is None
    error = deadline.error(at(5))
    assert isinstance(error, StallTimeoutError)
    assert error.message == "no token arrived for 3 s"
    assert isinstance(error, TimeoutError)


def test_nothing_restarts_the_limit_after_the_last_finish_reason() -> None:
    deadline = Deadline(Timeouts(total=None, stall=0.5), now_ns=0)
    deadline.enter("finish", at(1))
    assert deadline.is_finishing
    deadline.progress(at(2))
    assert deadline.expires_ns() == at(1 + AFTER_FINISH_S)
    error = deadline.error(at(1 + AFTER_FINISH_S))
    assert isinstance(error, StallTimeoutError)
    assert error.message == f"nothing arrived for {AFTER_FINISH_S:g} s after the last finish reason"


def test_the_watcher_is_called_when_a_phase_begins() -> None:
    deadline = Deadline(Timeouts(total=10, connect=2), now_ns=0)
    seen: list[float] = []
    deadline.watcher = lambda: seen.append(deadline.expires_ns())
    deadline.enter("connect", at(1))
    deadline.enter("send", at(2))
    assert seen == [at(3), at(10)]


def test_a_phase_that_does_not_exist_is_an_error() -> None:
    with pytest.raises(KeyError):
        Deadline(Timeouts()).enter("stal")  # type: ignore[arg-type]


def test_a_limit_too_long_for_sockets_is_none() -> None:
    with socket.socket() as kept:
        kept.settimeout(Timeouts(total=LONGEST_S).total)
    assert Timeouts(total=LONGEST_S + 1, stall=1e300) == Timeouts(total=None)
    assert timeouts("1e12") == Timeouts(total=None)


def test_limits_are_values() -> None:
    limits = Timeouts(total=3, stall=1)
    assert pickle.loads(pickle.dumps(limits)) == replace(Timeouts(total=3), stall=1) == limits
    assert hash(limits) == hash(Timeouts(total=3, stall=1))
    assert repr(limits) == "Timeouts(total=3.0, connect=5.0, pool=None, first_byte=None, stall=1.0)"


def test_without_limits_nothing_expires() -> None:
    deadline = Deadline(Timeouts(total=None, connect=None), now_ns=0)
    assert deadline.expires_ns() == math.inf
    assert deadline.remaining_s(at(1e9)) is None
    assert deadline.error(at(1e9)) is None


def test_the_remaining_time() -> None:
    deadline = Deadline(Timeouts(total=10), now_ns=0)
    assert (deadline.remaining_s(at(4)), deadline.total_left_s(at(4)), deadline.elapsed_s(at(4))) == (6, 6, 4)
    assert (deadline.remaining_s(at(14)), deadline.total_left_s(at(14))) == (0, 0)


def test_the_error_of_a_clock_that_is_a_little_ahead() -> None:
    assert isinstance(Deadline(Timeouts(total=10), now_ns=0).nearest_error(), TotalTimeoutError)


def test_the_sources_of_the_total_limit(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("TIMEOUT", raising=False)
    monkeypatch.delenv("SDK_TIMEOUT", raising=False)
    assert timeouts() == Timeouts(total=1800, connect=5, first_byte=None, stall=None)
    monkeypatch.setenv("TIMEOUT", "20")
    assert timeouts().total == 20
    monkeypatch.setenv("SDK_TIMEOUT", "30")
    assert timeouts().total == 30
    assert timeouts(5).total == 5
    own = Timeouts(stall=1)
    assert timeouts(own) is own


@pytest.mark.parametrize("none", ["-1", "0", "inf"])
def test_zero_or_less_means_no_limit(none: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("TIMEOUT", none)
    monkeypatch.delenv("SDK_TIMEOUT", raising=False)
    assert timeouts().total is None
    assert timeouts(float(none)).total is None


def test_an_invalid_limit_is_named() -> None:
    with pytest.raises(ConfigError, match="stall: 'soon'"):
        Timeouts(stall="soon")  # type: ignore[arg-type]
    assert Timeouts(total=0, stall=-1) == Timeouts(total=None, stall=None)


def test_an_invalid_number_is_refused_by_name(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("TIMEOUT", "soon")
    monkeypatch.delenv("SDK_TIMEOUT", raising=False)
    with pytest.raises(ConfigError, match="TIMEOUT: 'soon'"):
        timeouts()
    with pytest.raises(ConfigError, match="timeout: nan"):
        timeouts(math.nan)
