"""GET /health (200 while the engine can serve, with its counters) and /version."""

from dataclasses import asdict
from importlib.metadata import PackageNotFoundError, version

from pydantic_core import to_json

from ..endpoint import Endpoint
from ..errors import shutting_down
from ..exchange import Exchange


class Health(Endpoint):
    async def handle(self, exchange: Exchange) -> None:
        engine = self.state.engine
        engine.check_health()
        if self.state.traffic.is_closed:
            raise shutting_down()
        info = {"name": engine.info.name, "profile": engine.info.profile}
        body = to_json({"status": "ok", "engine": info | asdict(engine.stats())})
        await exchange.send_json(200, body)


class Version(Endpoint):
    async def handle(self, exchange: Exchange) -> None:
        await exchange.send_json(200, to_json({"version": _version()}))


def _version() -> str:
    try:
        return version("streamgauge")
    except PackageNotFoundError:  # run from a checkout that is not installed
        return "unknown"
