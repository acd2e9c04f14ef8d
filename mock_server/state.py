"""What the routes of one server share."""

import time

from .body_reading import BodyReading
from .connections import Connections
from .engine.base import Engine
from .metrics import ServerMetrics
from .model_registry import ModelRegistry
from .settings import Settings
from .throughput import Throughput
from .traffic import Traffic


class ServerState:
    """Made with the application; nothing in it is global."""

    def __init__(self, engine: Engine, settings: Settings) -> None:
        self.engine = engine
        self.settings = settings
        self.throughput = Throughput()
        self.connections = Connections(settings.max_connections, settings.max_half_open)
        self.traffic = Traffic(
            settings.max_requests,
            settings.limits.choices_in_progress,
            on_refusal=self.connections.drop_longest_unread,
        )
        self.bodies = BodyReading(settings, self.traffic)
        self.metrics = ServerMetrics()
        self.models = ModelRegistry(settings, engine, created=int(time.time()))
