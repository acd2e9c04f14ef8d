"""A bound socket. It is made before the engine starts, so that a port in use is reported immediately."""

from __future__ import annotations

import errno
import socket
from contextlib import suppress
from dataclasses import dataclass
from ipaddress import ip_address

# Addresses reserved for documentation. Nothing is sent; the kernel only chooses the address it would send from.
_ELSEWHERE = {socket.AF_INET: "192.0.2.1", socket.AF_INET6: "2001:db8::1"}
_LOOPBACK = {socket.AF_INET: "127.0.0.1", socket.AF_INET6: "::1"}


class ListenError(Exception):
    """The server cannot listen at the given address. The message has the reason and the remedy."""


@dataclass(frozen=True, slots=True)
class Listener:
    """A bound socket; nobody can connect before the server listens on it."""

    socket: socket.socket
    host: str
    scheme: str = "http"

    @classmethod
    def bind(cls, host: str, port: int, *, scheme: str = "http") -> Listener:
        """Raises `ListenError`."""
        try:
            family, kind, protocol, _, address = socket.getaddrinfo(
                host, port, type=socket.SOCK_STREAM, flags=socket.AI_PASSIVE
            )[0]
            listener = socket.socket(family, kind, protocol)
        except (OSError, UnicodeError) as error:
            reason = error.strerror if isinstance(error, OSError) else "it is not a host name"
            raise ListenError(f"--host {host} is not an address of this machine: {reason}") from None
        listener.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        try:
            listener.bind(address)
        except OSError as error:
            listener.close()
            raise ListenError(_problem(error, host, port)) from None
        return cls(listener, host, scheme)

    def problem(self, error: OSError) -> ListenError:
        """The error for a bound socket that the server cannot listen on after all."""
        return ListenError(_problem(error, self.host, self.port))

    @property
    def port(self) -> int:
        port: int = self.socket.getsockname()[1]
        return port

    @property
    def url(self) -> str:
        """The API's base URL. If other machines can reach the server, the address works from there as well."""
        host = self.socket.getsockname()[0]
        if self.every_interface is not None:
            families = [socket.AddressFamily(self.socket.family)]
            if families == [socket.AF_INET6] and not self.socket.getsockopt(socket.IPPROTO_IPV6, socket.IPV6_V6ONLY):
                families.append(socket.AF_INET)  # the socket accepts these as well
            addresses = filter(None, map(_outward_address, families))
            host = next(addresses, _LOOPBACK[families[0]])
        return f"{self.scheme}://{_in_url(host)}:{self.port}/v1"

    @property
    def every_interface(self) -> str | None:
        """Address and port if the server listens on every interface of the machine."""
        host = self.socket.getsockname()[0]
        return f"{_in_url(host)}:{self.port}" if ip_address(host).is_unspecified else None

    def close(self) -> None:
        self.socket.close()


def _outward_address(family: socket.AddressFamily) -> str | None:
    """This machine's address for other machines, if it has a route to them."""
    with suppress(OSError), socket.socket(family, socket.SOCK_DGRAM) as probe:
        probe.connect((_ELSEWHERE[family], 9))
        address: str = probe.getsockname()[0]
        return address
    return None


def _in_url(host: str) -> str:
    return f"[{host}]" if ":" in host else host


def _problem(error: OSError, host: str, port: int) -> str:
    if error.errno == errno.EADDRINUSE:
        return f"port {port} on {host} is taken: choose another with --port, or --port 0 for a free one"
    return f"cannot listen on {host} port {port}: {error.strerror}"
