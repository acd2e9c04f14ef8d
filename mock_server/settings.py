"""How one server presents itself: names, kind of model, keys, limits. The engine's own options are apart."""

from dataclasses import dataclass, field

from .engine.base import Adapter


@dataclass(frozen=True, slots=True)
class Settings:
    """Raises `ValueError` for names that are empty, clash, or have spaces or commas."""

    model_names: tuple[str, ...] = ("sim-chat",)
    """The model's names, the first of them on its card; all are accepted."""
    is_chat: bool = True
    adapters: tuple[Adapter, ...] = ()
    api_keys: tuple[str, ...] = field(default=(), repr=False)
    owned_by: str = "streamgauge"
    model_path: str = ""
    """Where the model came from; `root` on its card. Empty: the name."""
    log_interval_s: float = 0.0
    """Seconds between statistics lines in the log; 0 or less: none."""
    log_requests: bool = False
    max_body_bytes: int = 32 * 1024 * 1024

    def __post_init__(self) -> None:
        if not self.model_names or not all(self.model_names):
            raise ValueError("a served model name must not be empty")
        taken: set[str] = set()
        for name in (*self.model_names, *(adapter.name for adapter in self.adapters)):
            if not name:
                raise ValueError("an adapter's name must not be empty")
            if "," in name or any(character.isspace() for character in name):
                raise ValueError(f"the name {name!r} must have neither spaces nor commas")
            if name in taken:
                raise ValueError(f"the name {name!r} is given twice; each model and adapter needs its own")
            taken.add(name)
