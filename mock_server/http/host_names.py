"""The names by which clients may call a server.

A page can make its own name resolve to this machine (DNS rebinding); the Host header then contains that name.
"""

from __future__ import annotations

import re
from collections.abc import Sequence
from ipaddress import IPv6Address, ip_address

ANY = "*"
_MOST_KNOWN, _LONGEST = 256, 256
_PORT = re.compile(r":[0-9]*$")


def name_of(host: str) -> str:
    """The name or address in a Host header: lower case, without port, brackets and final dot."""
    host = _PORT.sub("", host.strip()) if not _is_bare_ipv6(host) else host.strip()
    return host.removeprefix("[").removesuffix("]").removesuffix(".").lower()


def is_loopback(name: str) -> bool:
    """Whether a name or address always means this machine, whatever DNS servers answer."""
    if name == "localhost" or name.endswith(".localhost"):
        return True
    try:
        address = ip_address(name)
    except ValueError:
        return False
    if isinstance(address, IPv6Address) and address.ipv4_mapped is not None:
        return address.ipv4_mapped.is_loopback
    return address.is_loopback


class HostNames:
    """The names that a Host header may have: loopback names and those of `--allowed-hosts`."""

    def __init__(self, allowed: Sequence[str]) -> None:
        self.are_restricted = ANY not in allowed
        self._allowed = frozenset(name_of(host) for host in allowed)
        self._known: set[bytes] = set()
        """Header values that were allowed before."""

    def allow(self, header: bytes) -> bool:
        if header in self._known:
            return True
        name = name_of(header.decode("latin-1"))
        found = not self.are_restricted or is_loopback(name) or name in self._allowed
        if found and len(header) <= _LONGEST and len(self._known) < _MOST_KNOWN:
            self._known.add(header)
        return found


def _is_bare_ipv6(host: str) -> bool:
    return host.count(":") > 1 and "[" not in host
