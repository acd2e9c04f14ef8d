"""Reads request bodies within a time limit, and refuses unfinished ones when the server stops."""

from __future__ import annotations

import asyncio
from typing import TypeVar

from pydantic import BaseModel

from mock_server.admission import Admission
from mock_server.errors import ApiError, bodies_full, request_timeout, shutting_down, too_many_values
from mock_server.http.body_memory import BodyMemory, BodyShare
from mock_server.http.body_shape import SMALL, TooManyValuesError, check_shape
from mock_server.http.exchange import AsgiExchange
from mock_server.request.validation import parse, parse_json, validate
from mock_server.settings import ServerSettings

_R = TypeVar("_R", bound=BaseModel)
_BYTES_PER_S = 1_000  # a body that arrives at least this fast may take any time


class BodyReading:
    """Reads all request bodies of one server."""

    def __init__(self, settings: ServerSettings, admission: Admission) -> None:
        self._max_bytes = settings.max_body_bytes
        self._max_memory = settings.max_body_memory
        self._memory = BodyMemory(self._max_memory)
        self._limit_s = settings.read_timeout_s or None
        self._admission = admission
        self._turn = asyncio.Lock()

    async def request(self, exchange: AsgiExchange, model: type[_R]) -> _R:
        """The request in the body. Large bodies are parsed one at a time, in two pieces.

        Raises `ApiError`: 408 if the body does not arrive in time, 503 if the server stops before then or if all bodies
        together take too much memory, 413 if it is too large or has too many values, 400 for invalid content.
        """
        share: BodyShare | None = None
        try:
            async with asyncio.timeout(self._limit_s) as limit:
                share = self._memory.share(lambda: None if limit.expired() else limit.reschedule(0))
                body = await self._received(exchange, limit, share)
            return await self._parsed(body, model)
        except TimeoutError:
            raise self._ended(share) from None
        finally:
            if share is not None:
                share.release()

    async def _parsed(self, body: bytes, model: type[_R]) -> _R:
        if len(body) <= SMALL:
            return parse(model, body)
        try:
            for _ in check_shape(body):
                await asyncio.sleep(0)
        except TooManyValuesError as error:
            raise too_many_values(str(error)) from None
        async with self._turn:
            value = parse_json(body)
            await asyncio.sleep(0)
            request = validate(model, value)
            await asyncio.sleep(0)
            return request

    async def _received(self, exchange: AsgiExchange, limit: asyncio.Timeout, share: BodyShare) -> bytes:
        limit_s = self._limit_s
        began = asyncio.get_running_loop().time()

        def extend(received: int) -> None:
            share.grow(received)
            if limit_s is not None and not self._admission.is_closed and not share.is_given_up:
                limit.reschedule(began + limit_s + received / _BYTES_PER_S)

        self._admission.begin_reading(limit)
        try:
            body = await exchange.read_json(self._max_bytes, extend)
            share.complete()
            return body
        finally:
            self._admission.end_reading(limit)

    def _ended(self, share: BodyShare | None) -> ApiError:
        """The reason why a body was not received to its end."""
        if share is not None and share.is_given_up:
            return bodies_full(self._max_memory)
        if self._admission.is_closed:
            refusal = shutting_down()
            refusal.headers["connection"] = "close"  # the rest is not read
            return refusal
        return request_timeout("body", self._limit_s or 0.0)
