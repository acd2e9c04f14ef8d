"""A streamed answer: each batch of the generation becomes events in one write."""

from __future__ import annotations

import asyncio
from collections.abc import Callable

from mock_server.answer.choice_delta import ChoiceDelta
from mock_server.answer.frames import Frames, error_event
from mock_server.answer.generation import Generation
from mock_server.engine.errors import EngineError
from mock_server.errors import ApiError, server_failed
from mock_server.http.exchange import AsgiExchange
from mock_server.telemetry.metrics import RequestMeter


class EventStream:
    """Writes each delta as its own event.

    If the engine and the server allow it, the engine's call writes the events directly, and the answer's task sleeps
    from its first event to its last: waking a task would cost more than all its work.
    """

    __slots__ = ("_error_of", "_exchange", "_frames", "_generation", "_meter", "_unwritten", "_writer")

    def __init__(
        self,
        exchange: AsgiExchange,
        frames: Frames,
        generation: Generation,
        meter: RequestMeter,
        error_of: Callable[[EngineError], ApiError],
    ) -> None:
        """`error_of` turns an engine's failure into the client's error."""
        self._error_of = error_of
        self._exchange = exchange
        self._writer = exchange.direct
        self._frames = frames
        self._generation = generation
        self._meter = meter
        self._unwritten: asyncio.Future[list[ChoiceDelta]] | None = None

    async def run(self) -> None:
        """Sends the headers with the first batch, so that a failure before it still gets its own status."""
        exchange, generation, meter = self._exchange, self._generation, self._meter
        deltas = await generation.next_batch()
        meter.batch(deltas)
        await exchange.start_events()
        try:
            if not generation.is_finished:
                await exchange.send_events(self._frames.events(deltas))  # goes out in one write with the headers
                deltas = await self._next_unwritten()
            while not generation.is_finished:
                events = self._frames.events(deltas)
                if self._writer is not None and self._writer.is_writable:
                    self._writer.write(events.encode())
                else:
                    await exchange.send_events(events)
                deltas = await self._next_unwritten()
            meter.end()
            events = self._frames.events(deltas) + self._frames.closing(generation.completion_tokens)
            await exchange.send_events(events, last=True)
        except EngineError as error:
            meter.has_failed = True
            meter.end()
            await exchange.send_events(error_event(self._error_of(error).body()), last=True)
        except Exception:
            meter.has_failed = True
            await exchange.send_events(error_event(server_failed().body()), last=True)
            raise

    async def _next_unwritten(self) -> list[ChoiceDelta]:
        """The next batch that `_write_ready` did not write: the last one, or one that the client is too slow for."""
        generation = self._generation
        if self._writer is not None and generation.listen(self._write_ready):
            self._unwritten = asyncio.get_running_loop().create_future()
            try:
                return await self._unwritten
            finally:
                self._unwritten = None
                generation.listen(None)
        deltas = await generation.next_batch()
        self._meter.batch(deltas)
        return deltas

    def _write_ready(self) -> None:
        """The engine calls this. It never raises; it hands failures to the task."""
        writer, unwritten = self._writer, self._unwritten
        if writer is None or unwritten is None or unwritten.done():  # done: the task is about to run, or cancelled
            return
        try:
            deltas = self._generation.take_batch()
            self._meter.batch(deltas)
            if self._generation.is_finished or not writer.is_writable:
                unwritten.set_result(deltas)
            else:
                writer.write(self._frames.events(deltas).encode())
        except StopIteration as error:  # a future does not accept this exception
            unwritten.set_exception(RuntimeError(repr(error)))
        except Exception as error:
            unwritten.set_exception(error)
