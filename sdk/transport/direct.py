"""The direct transport on asyncio: `asyncio.Protocol` and llhttp. The default of the asynchronous client."""

from __future__ import annotations

import ssl

from sdk.deadline import Deadline
from sdk.errors import ConnectionLostError
from sdk.transport.base import Request
from sdk.transport.exchange import DirectExchange
from sdk.transport.http1 import Payload
from sdk.transport.origin_pool import IDLE_S, MAX_CONNECTIONS
from sdk.transport.pool import Pool


class DirectTransport:
    """HTTP/1.1 over keep-alive connections of the running event loop.

    If a kept connection turns out to be dead before the first byte of the answer, the transport sends the request once
    more on a new connection (`replay=False` turns that off): servers may close idle connections at any moment.
    """

    keeps_limits = True

    def __init__(
        self,
        *,
        max_connections: int = MAX_CONNECTIONS,
        idle_s: float = IDLE_S,
        ssl_context: ssl.SSLContext | None = None,
        replay: bool = True,
    ) -> None:
        self.pool: Pool = Pool(max_connections=max_connections, idle_s=idle_s, ssl_context=ssl_context)
        self._replay = replay

    def __repr__(self) -> str:
        return f"<DirectTransport {self.pool!r}>"

    async def send(self, request: Request, deadline: Deadline) -> DirectExchange:
        payload = Payload(request)
        closes = self.pool.closes
        exchange = await self._start(request, payload, deadline, fresh=False)
        try:
            await exchange.head_arrived()
        except ConnectionLostError:
            if exchange.opened_connection or exchange.has_bytes or not self._replay or closes != self.pool.closes:
                raise
            exchange = await self._start(request, payload, deadline, fresh=True)
            await exchange.head_arrived()
        return exchange

    async def aclose(self) -> None:
        await self.pool.aclose()

    async def _start(self, request: Request, payload: Payload, deadline: Deadline, *, fresh: bool) -> DirectExchange:
        connection, opened = await self.pool.acquire(request.origin, deadline, fresh=fresh)
        return connection.start(payload.data, deadline, opened=opened)
