"""A plaintext connection that the bench reads itself: each read includes the kernel's stamp of its last byte."""

from __future__ import annotations

import contextlib
import socket
import sys
from functools import partial
from time import monotonic_ns
from typing import Protocol

from bench import kernel_stamps
from bench.answer.chunk_shape import ChunkShape
from bench.kernel_stamps import ANCILLARY_BYTES, timespec
from bench.records.lags import BIN_SHIFT, BINS
from bench.units import NS_PER_S
from bench.wire.base import WireWatch
from bench.wire.clock import KernelClock
from bench.wire.poller import ENDING, READ, READ_BYTES, WRITE, Poller

# The kernel stamps a packet a moment before it reaches the socket.
_SLACK_NS = 5_000_000

_NO_STAMP = -(1 << 62)

# From <linux/tcp.h>: segments sent again, segments received with data, and segments received out of order because an
# earlier one was lost.
_TCP_INFO_BYTES = 232
_TOTAL_RETRANS_AT, _PACKETS_AT, _OUT_OF_ORDER_AT = 100, 152, 224

# Bytes, when the last of them arrived, how long before that the socket had been empty, and whether that is sure.
_Read = tuple[bytes, int, int, bool]

# How long one socket is read at a time while each read is full.
_MOST_READING_NS = 500_000

# How many reads of one connection may be put off, and the size of the largest.
_MOST_PUT_OFF = 32
_MOST_PUT_OFF_BYTES = 4096


class AnswerReader(Protocol):
    """What a connection hands on to: an exchange, or the drain that takes its place."""

    def mark_sent(self, now_ns: int, took_ns: int, waited_ns: int) -> None:
        """The last byte of the request was handed to the kernel, after the server had kept it waiting for so long."""
        ...

    def feed(self, data: bytes, arrived_ns: int) -> None:
        """The bytes that one read brought."""
        ...

    def feed_eof(self, cause: OSError | None) -> None:
        """The connection was closed or broke."""
        ...


class KernelConnection:
    """A connected socket. It carries one request at a time; the answer goes to `reader`."""

    __slots__ = (
        "_backlog",
        "_clock",
        "_doubt_ns",
        "_drained_ns",
        "_empty_for_ns",
        "_fd",
        "_is_reading_on",
        "_lag_bins",
        "_packets",
        "_poller",
        "_reads",
        "_receive",
        "_send_began_ns",
        "_socket",
        "_unsent",
        "_watch",
        "free_since_ns",
        "is_open",
        "is_sure",
        "reader",
        "shape",
    )

    def __init__(self, connected: socket.socket, poller: Poller, clock: KernelClock, watch: WireWatch) -> None:
        connected.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        kernel_stamps.enable(connected)
        self._socket = connected
        self._receive = connected.recvmsg
        self._fd = connected.fileno()
        self._poller, self._clock, self._watch = poller, clock, watch
        self._lag_bins = watch.lag.bins
        self._drained_ns = poller.now_ns
        self._packets = self._reads = self._empty_for_ns = self._doubt_ns = 0
        self._unsent = memoryview(b"")
        self._send_began_ns = 0
        self._backlog: list[_Read] = []
        self.reader: AnswerReader | None = None
        self.shape: ChunkShape | None = None  # accounts for chunks of a known shape without parsing
        self.free_since_ns = 0
        self.is_open = self.is_sure = True
        self._is_reading_on = False
        poller.add(self._fd, self.read_now, self._on_ready)

    @property
    def is_sending(self) -> bool:
        """Whether a part of the request has not gone out yet."""
        return bool(self._unsent)

    def start(self, reader: AnswerReader, payload: bytes) -> None:
        """Send a request whose answer goes to `reader`. Raises OSError."""
        self.reader = reader
        self._unsent = memoryview(payload)
        self._send_began_ns = 0
        self._send(reader)
        if self._unsent:
            self._poller.watch(self._fd, READ | WRITE)

    def close(self) -> None:
        """Close the socket now, without a word to the reader."""
        if not self.is_open:
            return
        self.is_open = False
        self._backlog = []
        self._watch.retransmits += self.retransmits()
        self._poller.remove(self._fd)
        self._socket.close()

    def retransmits(self) -> int:
        """How many segments were sent again, in either direction, as far as this end can tell."""
        with contextlib.suppress(OSError):
            info = self._socket.getsockopt(socket.IPPROTO_TCP, socket.TCP_INFO, _TCP_INFO_BYTES)
            return _u32(info, _TOTAL_RETRANS_AT) + _u32(info, _OUT_OF_ORDER_AT)
        return 0

    def _send(self, reader: AnswerReader) -> None:
        before_ns = monotonic_ns()
        self._send_began_ns = self._send_began_ns or before_ns
        try:
            sent = self._socket.send(self._unsent)
        except BlockingIOError:
            return
        now_ns = monotonic_ns()
        self._unsent = self._unsent[sent:]
        if not self._unsent:
            reader.mark_sent(now_ns, now_ns - before_ns, before_ns - self._send_began_ns)

    def _on_ready(self, events: int) -> None:
        if events & WRITE:
            self._send_rest()
        if events & ~WRITE:
            self._read_rest(events)

    def _read_rest(self, events: int) -> None:
        """Read until the socket is empty, because the poller does not report the rest again.

        If the server sends faster than the bench parses, other sockets and timers are served in between.
        """
        self._is_reading_on = False
        began_ns, read = self._poller.now_ns, READ_BYTES
        while self.is_open and (read == READ_BYTES or (read and events & ENDING)):
            if self._poller.now_ns - began_ns > _MOST_READING_NS:
                self._read_on_later(events)
                return
            read = self.read_now()

    def _read_on_later(self, events: int) -> None:
        if not self._is_reading_on:
            self._is_reading_on = True
            self._poller.defer(partial(self._read_rest, events))

    def _send_rest(self) -> None:
        reader = self.reader
        if reader is None:
            return
        try:
            self._send(reader)
        except OSError:
            return  # the next read reports what happened, after the data that had still arrived
        if not self._unsent:
            self._poller.watch(self._fd, READ)

    def read_now(self) -> int:
        """Read once and hand on the data with the moment of its arrival. Returns how many bytes were read.

        The kernel reports one stamp for each read, that of the last packet in it. Whatever arrived in an earlier
        packet of the same read may have arrived at any time since the socket was last seen to be empty. The length of
        that span is the *doubt* of the read (docs/metrics.md, "Clock points"). Two moments bound it, and the
        later one counts: the poller's last look that did not report this socket (`poller.empty_ns`), and the last time
        a read emptied the socket (`_drained_ns`). A stamp is believed (`is_sure`) if it lies between that moment and
        now, give or take what the kernel and the two clocks may differ.

        Data that would take long to parse is put off while other sockets wait to be read: each moment that they wait,
        a second packet may join the first, and their stamps merge.
        """
        poller = self._poller
        try:
            data, ancillary, _, _ = self._receive(READ_BYTES, ANCILLARY_BYTES)
        except BlockingIOError:
            return 0
        except OSError as error:
            self._lost(error)
            return 0
        before_ns = poller.now_ns
        now_ns = poller.now_ns = monotonic_ns()
        empty_ns = poller.empty_ns
        if empty_ns < self._drained_ns:
            empty_ns = self._drained_ns
        if len(data) < READ_BYTES:  # the socket was empty right after this read, and so later than `before_ns`
            self._drained_ns = before_ns
        lag_ns = _NO_STAMP  # how long the last packet waited to be read
        if ancillary:
            seconds, nanoseconds = timespec(ancillary[0][2])
            lag_ns = now_ns - (seconds * NS_PER_S + nanoseconds - self._clock.offset_ns)
        lag_bin = lag_ns >> BIN_SHIFT
        if 0 <= lag_bin < BINS and lag_ns <= now_ns - empty_ns + _SLACK_NS:
            self._lag_bins[lag_bin] += 1
            self.is_sure = True
        else:
            lag_ns = self._unusual_lag(lag_ns, now_ns - empty_ns)
        self._reads += 1
        arrived_ns = now_ns - lag_ns
        shape = self.shape
        if shape is not None and self.is_sure and shape.take(data, arrived_ns):
            return len(data)
        self._hand_on(data, arrived_ns, arrived_ns - empty_ns)
        return len(data)

    def _hand_on(self, data: bytes, arrived_ns: int, empty_for_ns: int) -> None:
        """Give what a read brought to the reader, now or when no other socket waits to be read."""
        reader = self.reader
        if reader is None:
            self.close()  # an idle connection has nothing to send: this is its end, or bytes that belong to no request
        elif not data:
            self._lost(None)
        elif self._poller.is_behind or self._backlog:
            self._put_off(data, arrived_ns, empty_for_ns)
        else:
            self._empty_for_ns = empty_for_ns
            self._doubt_ns = -1  # not asked for yet
            reader.feed(data, arrived_ns)

    def _put_off(self, data: bytes, arrived_ns: int, empty_for_ns: int) -> None:
        """Keep a read for later. Parsing a first token takes ten times as long as reading it, and meanwhile a second
        packet may reach a socket whose first is still unread: the kernel then keeps one stamp for both.
        """
        backlog = self._backlog
        if not backlog:
            self._poller.defer(self.catch_up)
            self.shape = None  # the next read has to wait for this one
        backlog.append((data, arrived_ns, empty_for_ns, self.is_sure))
        if len(backlog) == _MOST_PUT_OFF or len(data) > _MOST_PUT_OFF_BYTES:
            self.catch_up()

    def catch_up(self) -> None:
        """Parse what was put off while other sockets had data to read."""
        if not self._backlog:
            return
        backlog, self._backlog = self._backlog, []
        is_one = len(backlog) == 1
        came_alone = not is_one and self._count_packets() == 0
        for data, arrived_ns, empty_for_ns, is_sure in backlog:
            reader, shape = self.reader, self.shape
            if reader is None:
                self.close()  # bytes after the end of an answer
                return
            self.is_sure, self._empty_for_ns = is_sure, empty_for_ns
            self._doubt_ns = -1 if is_one else 0 if came_alone and is_sure else max(empty_for_ns, 0)
            if shape is None or not is_sure or not shape.take(data, arrived_ns):
                reader.feed(data, arrived_ns)

    def doubt_ns(self) -> int:
        """How much earlier than the stamp a part of the last read may have arrived: 0 if it was a single packet.

        The stamp is that of the last packet. If there were no more packets than reads since the last call, each read
        was one packet. Otherwise a part may have arrived as early as the socket was last known to be empty.
        """
        if self._doubt_ns < 0:
            came_alone = self.is_sure and self._count_packets() == 0
            self._doubt_ns = 0 if came_alone else max(self._empty_for_ns, 0)
        return self._doubt_ns

    def _count_packets(self) -> int:
        """How many more packets than reads there were since the last call."""
        try:
            info = self._socket.getsockopt(socket.IPPROTO_TCP, socket.TCP_INFO, _TCP_INFO_BYTES)
        except OSError:
            return -1
        packets = _u32(info, _PACKETS_AT)
        more = packets - self._packets - self._reads
        self._packets, self._reads = packets, 0
        return more

    def _unusual_lag(self, lag_ns: int, empty_for_ns: int) -> int:
        """The lag to use when the stamp is missing, very old, or impossible by the clocks."""
        self.is_sure = True
        if -_SLACK_NS < lag_ns < 0:  # the offset of the clocks is a little off
            self._lag_bins[0] += 1
            return 0
        if 0 <= lag_ns <= empty_for_ns + _SLACK_NS:
            self._watch.lag.add(lag_ns)
            return lag_ns
        self._watch.unstamped += 1
        self.is_sure = False
        return 0

    def _lost(self, error: OSError | None) -> None:
        self.catch_up()
        reader = self.reader
        self.close()
        if reader is not None:
            reader.feed_eof(error)


def _u32(info: bytes, at: int) -> int:
    return int.from_bytes(info[at : at + 4], sys.byteorder)
