"""A bound socket, made before the engine starts: a port that is taken shows at once."""

import errno
import socket
from dataclasses import dataclass
from ipaddress import ip_address


class ListenError(Exception):
    """The server cannot listen where it was told to; the message says why and what to do."""


@dataclass(frozen=True, slots=True)
class Listener:
    """A bound socket; nobody can connect before the server listens on it."""

    socket: socket.socket
    host: str
    scheme: str = "http"

    @classmethod
    def bind(cls, host: str, port: int, *, scheme: str = "http") -> "Listener":
        """Raises `ListenError`."""
        try:
            family, kind, protocol, _, address = socket.getaddrinfo(
                host, port, type=socket.SOCK_STREAM, flags=socket.AI_PASSIVE
            )[0]
            listener = socket.socket(family, kind, protocol)
        except OSError as exc:
            raise ListenError(f"--host {host} is no address of this machine: {exc.strerror}") from None
        listener.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        try:
            listener.bind(address)
        except OSError as exc:
            listener.close()
            raise ListenError(_problem(exc, host, port)) from None
        return cls(listener, host, scheme)

    def problem(self, error: OSError) -> ListenError:
        """Why the server cannot listen on the socket after all."""
        return ListenError(_problem(error, self.host, self.port))

    @property
    def port(self) -> int:
        port: int = self.socket.getsockname()[1]
        return port

    @property
    def url(self) -> str:
        """The API's base as a client on this machine reaches it."""
        host = self.socket.getsockname()[0]
        if ip_address(host).is_unspecified:
            host = "::1" if ":" in host else "127.0.0.1"
        return f"{self.scheme}://{f'[{host}]' if ':' in host else host}:{self.port}/v1"


def _problem(error: OSError, host: str, port: int) -> str:
    if error.errno == errno.EADDRINUSE:
        return f"port {port} on {host} is taken: choose another with --port, or --port 0 for a free one"
    return f"cannot listen on {host} port {port}: {error.strerror}"
