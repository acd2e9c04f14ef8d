"""The settings of one server: names, kind of model, keys, limits. The engine has its own options."""

from __future__ import annotations

from dataclasses import dataclass, field

from mock_server.engine.base import Adapter
from mock_server.request_limits import DEFAULT_LIMITS, RequestLimits

_LONGEST_NAME = 256
_INVISIBLE = frozenset("\u034f\u115f\u1160\u17b4\u17b5\u2800\u3164\uffa0") | {
    chr(code) for code in (*range(0xFE00, 0xFE10), *range(0xE0100, 0xE01F0))
}
"""Characters that are printable by Unicode's categories, but invisible."""


@dataclass(frozen=True, slots=True)
class Cors:
    """The web pages that may call the server; `*` means any."""

    origins: tuple[str, ...] = ("*",)
    methods: tuple[str, ...] = ("*",)
    headers: tuple[str, ...] = ("*",)
    credentials: bool = False


@dataclass(frozen=True, slots=True)
class ServerSettings:
    """Raises `ValueError` for names that are not valid or not unique."""

    model_names: tuple[str, ...] = ("sim-chat",)
    """The model's names. All are accepted; the first is the main name."""
    is_chat: bool | None = None
    """None: yes if the engine's model has a chat template."""
    adapters: tuple[Adapter, ...] = ()
    api_keys: tuple[str, ...] = field(default=(), repr=False)
    owned_by: str = "streamgauge"
    model_path: str = ""
    """A hub id, which is `root` on the model's card, or a folder, of which the card has the last component."""
    system: str | None = None
    """The system message of conversations that have none."""
    stop_strings: tuple[str, ...] = ()
    """Strings that end every answer, in addition to those of the request."""
    runtime_adapters: bool = False
    """Whether adapters may be loaded and unloaded over the API."""
    log_interval_s: float = 0.0
    """Seconds between statistics lines in the log; 0 or less: no such lines."""
    log_requests: bool = False
    max_body_bytes: int = 32 * 1024 * 1024
    max_head_bytes: int = 64 * 1024
    """The largest size of request line and headers together."""
    read_timeout_s: float = 30.0
    """The time for a request's head, and for its body, which gets one more second for each 1,000 bytes; 0: no limit."""
    max_connections: int = 0
    """The largest number of connections; 0: no limit."""
    max_half_open: int = 0
    """The largest number of connections without a complete request head; 0: no limit."""
    max_body_memory: int = 96 * 1024 * 1024
    """The largest size in bytes of all bodies that are being received or parsed."""
    allowed_hosts: tuple[str, ...] = ("*",)
    """Names of this server in the Host header, besides loopback names and addresses; `*` means any."""
    root_path: str = ""
    """The prefix under which a proxy serves this server, in the form that `root_path.checked_root_path` returns."""
    require_model: bool = False
    """Whether a request that names no model is a 400. Otherwise it gets the base model."""
    max_requests: int = 0
    """The largest number of generations in progress, running and waiting; more are refused with a 429. 0: no limit."""
    limits: RequestLimits = DEFAULT_LIMITS
    tool_format: str | None = None
    """How the model writes tool calls: one of `message_reader.TOOL_FORMATS`. None: the engine's format; empty: tool
    choice `auto` is refused."""
    reasoning_format: str | None = None
    """How the model marks its thoughts: one of `message_reader.REASONING_FORMATS`. None: the engine's format, if the
    request asks for thoughts."""
    cors: Cors | None = None
    """None: browsers do not let pages of other origins read answers."""

    def __post_init__(self) -> None:
        if not self.model_names:
            raise ValueError("a served model name must not be empty")
        taken: set[str] = set()
        for name in (*self.model_names, *(adapter.name for adapter in self.adapters)):
            check_name(name)
            if name in taken:
                raise ValueError(f"the name {name!r} is given twice; each model and adapter needs its own")
            taken.add(name)


Settings = ServerSettings
"""An earlier name, kept for programs that import it."""


def check_name(name: str) -> None:
    """Raises `ValueError` unless it is a valid name of a model or an adapter. Names are shown and logged everywhere."""
    if not name:
        raise ValueError("a model's or adapter's name must not be empty")
    if len(name) > _LONGEST_NAME:
        raise ValueError(f"the name {name[:40]!r}… must have at most {_LONGEST_NAME} characters (it has {len(name)})")
    if "," in name or any(character.isspace() for character in name):
        raise ValueError(f"the name {name!r} must have neither spaces nor commas")
    if not name.isprintable() or any(character in _INVISIBLE for character in name):
        raise ValueError(f"the name {name!a} must have no control characters and no invisible ones")


def is_name(text: str) -> bool:
    try:
        check_name(text)
    except ValueError:
        return False
    return True
