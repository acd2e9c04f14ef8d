"""Many connections of the kernel's wire at once: sockets are read before what was read is parsed."""

from __future__ import annotations

import asyncio
import select
import socket
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from time import monotonic_ns

from bench.answer.chunk_shape import ChunkShape
from bench.target import Deadline, Head, Timeouts
from bench.wire.base import Source, WireWatch
from bench.wire.clock import KernelClock
from bench.wire.connection import KernelConnection
from bench.wire.exchange import KernelExchange
from bench.wire.poller import Poller
from bench.wire.timing import Timing
from tests.support.wire import HEADERS

STREAMS = 300  # several slices of the poller


class Taken:
    """A receiver that keeps the body's bytes with their stamps."""

    def __init__(self, on_take: Callable[[], None] = lambda: None) -> None:
        self.timing = Timing()
        self.blocks: list[bytes] = []
        self.stamps: list[int] = []
        self.doubts: list[int] = []
        self._on_take = on_take

    def sent(self, now_ns: int, took_ns: int) -> None: ...

    def begin(self, head: Head, arrived_ns: int) -> None: ...

    def take(self, block: bytes, arrived_ns: int, source: Source) -> bool:
        self._on_take()
        self.blocks.append(block)
        self.stamps.append(arrived_ns)
        self.doubts.append(source.doubt_ns())
        return False

    def learn_shape(self, data: bytes) -> ChunkShape | None:
        return None

    def took_plain(self, arrived_ns: int, doubt_ns: int) -> None: ...

    def catch_up(self) -> None: ...


class Crowd:
    """Connections with an exchange each, and the servers' ends of them."""

    def __init__(self, on_take: Callable[[], None] = lambda: None) -> None:
        loop = asyncio.get_running_loop()
        self.poller = Poller(loop)
        self.sockets, self.peers = [], []
        self.receivers = [Taken(on_take) for _ in range(STREAMS)]
        self.exchanges: list[KernelExchange] = []
        clock, watch = KernelClock(), WireWatch()
        with socket.create_server(("127.0.0.1", 0), backlog=STREAMS) as listener:
            for receiver in self.receivers:
                client = socket.create_connection(listener.getsockname())
                client.setblocking(False)
                self.sockets.append(client)
                self.peers.append(listener.accept()[0])
                connection = KernelConnection(client, self.poller, clock, watch)
                exchange = KernelExchange(connection, Deadline(Timeouts()), receiver, loop)
                connection.start(exchange, b"GET / HTTP/1.1\r\n\r\n")
                self.exchanges.append(exchange)

    def send(self, data: bytes) -> None:
        """The same bytes on every connection, in their sockets when this returns."""
        for peer in self.peers:
            peer.sendall(data)

    def unread(self) -> int:
        """How many sockets have something to read."""
        poll = select.poll()
        for client in self.sockets:
            if client.fileno() >= 0:
                poll.register(client, select.POLLIN)
        return len(poll.poll(0))

    def close(self) -> None:
        for exchange in self.exchanges:
            exchange.cancel()
        for peer in self.peers:
            peer.close()
        self.poller.close()


@contextmanager
def crowd(on_take: Callable[[], None] = lambda: None) -> Iterator[Crowd]:
    made = Crowd(on_take)
    try:
        yield made
    finally:
        made.close()


def chunk(data: bytes) -> bytes:
    return b"%x\r\n%b\r\n" % (len(data), data)


async def until(is_so: Callable[[], bool]) -> None:
    while not is_so():  # noqa: ASYNC110 - a receiver does not call back
        await asyncio.sleep(0)


def test_all_sockets_are_read_before_the_first_token_is_parsed() -> None:
    async def main() -> list[int]:
        waiting: list[int] = []
        with crowd(lambda: waiting.append(made.unread())) as made:
            made.send(HEADERS + chunk(b"one"))
            await until(lambda: all(receiver.blocks for receiver in made.receivers))
        return waiting

    waiting = asyncio.run(main())
    assert len(waiting) == STREAMS
    assert max(waiting) == 0


def test_an_event_has_the_stamp_of_its_arrival_however_late_it_is_read() -> None:
    """The bench stands still for 50 ms with bytes in its sockets."""

    async def main() -> tuple[list[int], int]:
        with crowd() as made:
            made.send(HEADERS + chunk(b"one"))
            arrived_ns = monotonic_ns()
            while monotonic_ns() < arrived_ns + 50_000_000:
                pass
            await until(lambda: all(receiver.blocks for receiver in made.receivers))
            return [receiver.stamps[0] for receiver in made.receivers], arrived_ns

    stamps, arrived_ns = asyncio.run(main())
    assert max(stamps) < arrived_ns + 10_000_000


def test_a_token_that_arrives_while_others_are_parsed_has_its_own_stamp() -> None:
    async def main() -> list[Taken]:
        sent_again: list[None] = []

        def send_again() -> None:
            if not sent_again:
                sent_again.append(None)
                made.send(chunk(b"two"))

        with crowd(send_again) as made:
            made.send(HEADERS + chunk(b"one"))
            await until(lambda: all(len(receiver.blocks) > 1 for receiver in made.receivers))
            return made.receivers

    for receiver in asyncio.run(main()):
        assert receiver.blocks == [b"one", b"two"]
        assert receiver.stamps[0] < receiver.stamps[1]


def test_the_doubt_of_a_burst_after_a_silence_begins_at_the_last_glance() -> None:
    async def main() -> tuple[Taken, int]:
        with crowd() as made:
            made.send(HEADERS + chunk(b"one"))
            await until(lambda: all(receiver.blocks for receiver in made.receivers))
            glanced_ns = monotonic_ns()
            while not made.poller.glance():
                glanced_ns = monotonic_ns()
            made.send(chunk(b"two"))
            made.send(chunk(b"three"))
            await until(lambda: made.receivers[0].blocks[-1].endswith(b"three"))
            return made.receivers[0], glanced_ns

    receiver, glanced_ns = asyncio.run(main())
    assert 0 < receiver.doubts[-1] <= receiver.stamps[-1] - glanced_ns


def test_reads_that_were_put_off_are_handed_over_when_the_stream_is_cancelled() -> None:
    async def main() -> list[Taken]:
        given_up: list[None] = []

        def give_up() -> None:
            if not given_up:
                given_up.append(None)
                for exchange in made.exchanges:
                    exchange.cancel()

        with crowd(give_up) as made:
            made.send(HEADERS + chunk(b"one"))
            await until(lambda: all(receiver.blocks for receiver in made.receivers))
            return made.receivers

    assert [receiver.blocks for receiver in asyncio.run(main())] == [[b"one"]] * STREAMS


def test_reads_that_are_put_off_stay_in_order_and_are_bounded() -> None:
    """One stream of large reads among many of small ones."""

    async def main() -> list[Taken]:
        with crowd() as made:
            made.send(HEADERS + chunk(b"one"))
            made.peers[0].sendall(chunk(b"x" * 10_000))
            for number in range(100):
                made.peers[1].sendall(chunk(b"%d" % number))
            made.send(chunk(b"end"))
            await until(lambda: all(b"".join(receiver.blocks).endswith(b"end") for receiver in made.receivers))
            return made.receivers

    large, many, *others = asyncio.run(main())
    assert b"".join(large.blocks) == b"one" + b"x" * 10_000 + b"end"
    assert b"".join(many.blocks) == b"one" + b"".join(b"%d" % number for number in range(100)) + b"end"
    assert all(receiver.blocks == [b"one", b"end"] or receiver.blocks == [b"oneend"] for receiver in others)
