"""The number of connections that the limit on file descriptors allows."""

from __future__ import annotations

import resource

MOST_CONNECTIONS = 8_192
"""The default maximum, however high the descriptor limit is, because each connection takes memory."""
_LEAST_RESERVE = 64


def reserve(descriptors: int) -> int:
    """Descriptors reserved for everything else: files, the engine, connections that are being closed."""
    return max(_LEAST_RESERVE, descriptors // 8)


def room(descriptors: int) -> int:
    """The number of connections for which this number of descriptors is enough."""
    return max(8, descriptors - reserve(descriptors))


def descriptor_limit() -> int:
    """This process's limit."""
    return _finite(resource.getrlimit(resource.RLIMIT_NOFILE)[0])


def connection_limit(wanted: int | None = None) -> int:
    """The largest number of connections: the wanted number, otherwise as many as the descriptors allow, within reason.

    Raises this process's descriptor limit as far as necessary. Raises `ValueError` if that is impossible.
    """
    soft, hard = (_finite(limit) for limit in resource.getrlimit(resource.RLIMIT_NOFILE))
    most = min(room(hard), MOST_CONNECTIONS) if wanted is None else wanted
    if most > room(hard):
        raise ValueError(
            f"--max-connections {most} needs more file descriptors than this process may open: {hard}, enough for"
            f" {room(hard)} connections. Raise that limit (ulimit -n), or lower --max-connections"
        )
    if most > room(soft):
        needed = min(hard, max(most + _LEAST_RESERVE, most * 8 // 7 + 1))
        resource.setrlimit(resource.RLIMIT_NOFILE, (needed, resource.getrlimit(resource.RLIMIT_NOFILE)[1]))
    return most


def _finite(limit: int) -> int:
    return 1_048_576 if limit == resource.RLIM_INFINITY else limit
