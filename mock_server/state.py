"""What the routes of one server share."""

import time

from .engine.base import Engine
from .model_registry import ModelRegistry
from .settings import Settings
from .throughput import Throughput


class ServerState:
    def __init__(self, engine: Engine, settings: Settings) -> None:
        self.engine = engine
        self.settings = settings
        self.throughput = Throughput()
        self.models = ModelRegistry(settings, created=int(time.time()), max_model_len=engine.info.max_model_len)
