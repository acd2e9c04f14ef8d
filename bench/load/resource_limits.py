"""Checks before the load that this machine allows enough open files and local ports."""

from __future__ import annotations

import os
import resource
from pathlib import Path

from bench.load.plan import Limits
from bench.load.settings import UsageError
from bench.records.record import Record
from bench.units import NS_PER_S

# Sockets and files that the bench needs besides one per stream.
SPARE_FILES = 64
_PORT_RANGE = Path("/proc/sys/net/ipv4/ip_local_port_range")


def allow_streams(streams: int | None) -> list[str]:
    """Raise the limit of open files to what the streams need (None: to the maximum). Returns notes about it.

    Raises UsageError if the machine does not allow that many.
    """
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    if streams is None:  # an open loop opens what it needs
        return _raise_files(soft, hard, hard)
    needed = streams + SPARE_FILES
    if soft != resource.RLIM_INFINITY and soft < needed:
        if hard != resource.RLIM_INFINITY and hard < needed:
            raise UsageError(
                f"--concurrency {streams} needs {needed} open files, but this process may have {hard}: "
                + (f"ask for at most {hard - SPARE_FILES}, or " if hard > SPARE_FILES else "")
                + f"raise the hard limit (ulimit -Hn {needed})"
            )
        notes = _raise_files(soft, needed, hard)
    else:
        notes = []
    check_ports(streams)
    return notes


def check_ports(streams: int) -> None:
    """Raise UsageError if there are fewer local ports than streams."""
    ports = _local_ports()
    if ports is not None and streams > ports:
        raise UsageError(
            f"--concurrency {streams} needs {streams} local ports, but this machine has {ports}: "
            "ask for fewer, or widen net.ipv4.ip_local_port_range"
        )


def check_rate(rate: float, limits: Limits, output_len: int, answer: Record) -> None:
    """Raise UsageError if a rate certainly needs more simultaneous connections than the process may have open files.

    By Little's law it needs at least the rate times the duration of a request on the idle server, such as `answer`.
    """
    taken_s = _least_s(answer, output_len)
    needed = rate * taken_s
    if limits.duration_s is not None:
        needed = min(needed, rate * limits.duration_s)
    if limits.requests is not None:
        needed = min(needed, limits.requests)
    soft, _ = resource.getrlimit(resource.RLIMIT_NOFILE)
    room = soft - _open_files()
    if soft == resource.RLIM_INFINITY or needed <= room:
        return
    raise UsageError(
        f"--request-rate {rate:g} needs about {needed:,.0f} open connections, as a request takes {taken_s:.1f} s; "
        f"but this process may have {soft} open files: raise the limit (ulimit -n {round(2 * needed) + SPARE_FILES}), "
        f"ask for a lower rate, or cap it with --concurrency {max(1, room - SPARE_FILES)}"
    )


def _least_s(answer: Record, output_len: int) -> float:
    """The shortest duration of a request of that length, estimated from a shorter one."""
    if answer.send_ns is None:
        return 0.0
    first_ns, last_ns, tokens = answer.first_ns, answer.last_ns, answer.completion_tokens or answer.events
    if first_ns is None or last_ns is None or tokens < 2:
        return (answer.end_ns - answer.send_ns) / NS_PER_S
    a_token_ns = (last_ns - first_ns) / (tokens - 1)
    return (first_ns - answer.send_ns + a_token_ns * (output_len - 1)) / NS_PER_S


def _raise_files(soft: int, wanted: int, hard: int) -> list[str]:
    if soft in (wanted, resource.RLIM_INFINITY):
        return []
    try:
        resource.setrlimit(resource.RLIMIT_NOFILE, (wanted, hard))
    except (OSError, ValueError):  # the system has a lower limit
        return []
    shown = "unlimited" if wanted == resource.RLIM_INFINITY else f"{wanted:,}"
    return [f"raised this process's limit of open files from {soft:,} to {shown}"]


def _open_files() -> int:
    try:
        return len(os.listdir("/proc/self/fd"))
    except OSError:
        return SPARE_FILES


def _local_ports() -> int | None:
    """How many connections to one address are possible; None if the system does not say."""
    try:
        first, last = map(int, _PORT_RANGE.read_text("ascii").split())
    except (OSError, ValueError):
        return None
    return last - first + 1
