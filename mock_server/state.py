"""What the routes of one server share."""

import time
from dataclasses import dataclass, field

from .engine.base import Engine
from .model_registry import ModelRegistry
from .settings import Settings
from .throughput import Throughput


@dataclass(frozen=True)
class ServerState:
    engine: Engine
    settings: Settings
    started_at: int = field(default_factory=lambda: int(time.time()))
    throughput: Throughput = field(default_factory=Throughput)
    models: ModelRegistry = field(init=False)

    def __post_init__(self) -> None:
        models = ModelRegistry(self.settings, created=self.started_at, max_model_len=self.engine.info.max_model_len)
        object.__setattr__(self, "models", models)
