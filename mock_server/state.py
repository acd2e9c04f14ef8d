"""The state that the routes of one server share."""

from __future__ import annotations

import time

from mock_server.admission import Admission
from mock_server.engine.base import Engine
from mock_server.http.body_reading import BodyReading
from mock_server.http.connections import Connections
from mock_server.models.registry import ModelRegistry
from mock_server.settings import ServerSettings
from mock_server.telemetry.metrics import ServerMetrics
from mock_server.telemetry.throughput import Throughput


class ServerState:
    """Each application has its own; nothing in it is global."""

    def __init__(self, engine: Engine, settings: ServerSettings) -> None:
        self.engine = engine
        self.settings = settings
        self.throughput = Throughput()
        self.connections = Connections(settings.max_connections, settings.max_half_open)
        self.admission = Admission(
            settings.max_requests,
            settings.limits.choices_in_progress,
            on_refusal=self.connections.drop_longest_unread,
        )
        self.bodies = BodyReading(settings, self.admission)
        self.metrics = ServerMetrics()
        self.models = ModelRegistry(settings, engine, created=int(time.time()))
