"""How many connections the limit on file descriptors leaves room for."""

from __future__ import annotations

import resource

MOST_CONNECTIONS = 8_192
"""By default, however many descriptors there may be: each connection takes memory."""
_LEAST_RESERVE = 64


def reserve(descriptors: int) -> int:
    """Descriptors kept for everything that is not a connection: files, the engine, connections being closed."""
    return max(_LEAST_RESERVE, descriptors // 8)


def room(descriptors: int) -> int:
    """The number of connections for which so many descriptors suffice."""
    return max(8, descriptors - reserve(descriptors))


def descriptor_limit() -> int:
    """This process's limit."""
    return _finite(resource.getrlimit(resource.RLIMIT_NOFILE)[0])


def connection_limit(wanted: int | None = None) -> int:
    """The most connections to take: as wanted, else as many as there is room for, within reason.

    Raises this process's limit on descriptors as far as that needs; raises `ValueError` if it cannot be raised so far.
    """
    soft, hard = (_finite(limit) for limit in resource.getrlimit(resource.RLIMIT_NOFILE))
    most = min(room(hard), MOST_CONNECTIONS) if wanted is None else wanted
    if most > room(hard):
        raise ValueError(
            f"--max-connections {most} needs more file descriptors than this process may open ({hard}), which suffice"
            f" for {room(hard)} connections: raise that limit (ulimit -n), or lower --max-connections"
        )
    if most > room(soft):
        needed = min(hard, max(most + _LEAST_RESERVE, most * 8 // 7 + 1))
        resource.setrlimit(resource.RLIMIT_NOFILE, (needed, resource.getrlimit(resource.RLIMIT_NOFILE)[1]))
    return most


def _finite(limit: int) -> int:
    return 1_048_576 if limit == resource.RLIM_INFINITY else limit
