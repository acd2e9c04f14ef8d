"""Reads request bodies within a time limit, and refuses unfinished ones when the server stops."""

import asyncio
from typing import TypeVar

from pydantic import BaseModel

from .body_shape import SMALL, TooManyValuesError, check_shape
from .errors import request_timeout, shutting_down, too_many_values
from .exchange import Exchange
from .settings import Settings
from .traffic import Traffic
from .validation import parse

_R = TypeVar("_R", bound=BaseModel)
_BYTES_PER_S = 1_000  # a body that arrives at least this fast may take any time


class BodyReading:
    """Reads the bodies of one server."""

    def __init__(self, settings: Settings, traffic: Traffic) -> None:
        self._max_bytes = settings.max_body_bytes
        self._limit_s = settings.read_timeout_s or None
        self._traffic = traffic
        self._turn = asyncio.Lock()

    async def request(self, exchange: Exchange, model: type[_R]) -> _R:
        """The request in the body. Large bodies are parsed one at a time.

        Raises `ApiError`: 408 if the body does not arrive in time, 503 if the server stops before then, 413
        if it is too large or has too many values, 400 for invalid content.
        """
        body = await self._received(exchange)
        if len(body) <= SMALL:
            return parse(model, body)
        try:
            for _ in check_shape(body):
                await asyncio.sleep(0)
        except TooManyValuesError as exc:
            raise too_many_values(str(exc)) from None
        async with self._turn:
            request = parse(model, body)
            await asyncio.sleep(0)
            return request

    async def _received(self, exchange: Exchange) -> bytes:
        limit_s = self._limit_s
        began = asyncio.get_running_loop().time()
        try:
            async with asyncio.timeout(limit_s) as limit:

                def extend(received: int) -> None:
                    if limit_s is not None and not self._traffic.is_closed:
                        limit.reschedule(began + limit_s + received / _BYTES_PER_S)

                self._traffic.begin_reading(limit)
                try:
                    return await exchange.read_json(self._max_bytes, extend)
                finally:
                    self._traffic.end_reading(limit)
        except TimeoutError:
            if self._traffic.is_closed:
                refusal = shutting_down()
                refusal.headers["connection"] = "close"  # the rest is not read
                raise refusal from None
            raise request_timeout("body", self._limit_s or 0.0) from None
