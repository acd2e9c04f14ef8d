"""A plaintext connection that is read by hand, so that each read comes with the kernel's stamp of its last byte."""

from __future__ import annotations

import contextlib
import socket
import struct
import sys
from functools import partial
from time import monotonic_ns
from typing import Protocol

from bench.answer.chunk_shape import ChunkShape
from bench.records.lags import BIN_SHIFT, BINS
from bench.units import NS_PER_S
from bench.wire.base import WireWatch
from bench.wire.clock import KernelClock
from bench.wire.poller import ENDING, READ, READ_BYTES, WRITE, Poller

# From <asm-generic/socket.h>; Python has no name for it. The stamp is a struct timespec of CLOCK_REALTIME.
SO_TIMESTAMPNS = 35
_TIMESPEC = struct.Struct("@qq")
_ANCILLARY_BYTES = socket.CMSG_SPACE(_TIMESPEC.size) if hasattr(socket, "CMSG_SPACE") else 0

# The kernel stamps a packet a moment before the socket has it.
_SLACK_NS = 5_000_000

_NO_STAMP = -(1 << 62)

# From <linux/tcp.h>: segments sent again, segments with data that came, and those that came out of order because one
# before was lost.
_TCP_INFO_BYTES = 232
_TOTAL_RETRANS_AT, _PACKETS_AT, _OUT_OF_ORDER_AT = 100, 152, 224

_timespec = _TIMESPEC.unpack

# Bytes, when the last of them arrived, how long the socket had been empty before, and whether that is sure.
_Read = tuple[bytes, int, int, bool]

# So long is one socket read at a time, while it brings as much as a read can take.
_MOST_READING_NS = 500_000

# What is put off is bounded: so many reads of one connection, none of them larger than that.
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
    """A connected socket. It carries one request at a time, whose answer goes to `reader`."""

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
        connected.setsockopt(socket.SOL_SOCKET, SO_TIMESTAMPNS, 1)
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
        self.shape: ChunkShape | None = None  # takes what it knows of the answer by its look
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
        """Close the socket now. Its reader is not told."""
        if not self.is_open:
            return
        self.is_open = False
        self._backlog = []
        self._watch.retransmits += self.retransmits()
        self._poller.remove(self._fd)
        self._socket.close()

    def retransmits(self) -> int:
        """How many segments had to be sent again, either way, as far as this end can tell."""
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
        """Read until there is nothing: what is left is not reported again. Other sockets and timers come in between
        where a server sends faster than its bytes are parsed.
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
            return  # the read that follows tells what happened, after what had still arrived
        if not self._unsent:
            self._poller.watch(self._fd, READ)

    def read_now(self) -> int:
        """Read once and hand on what came, with the moment of its arrival; how many bytes it was."""
        poller = self._poller
        try:
            data, ancillary, _, _ = self._receive(READ_BYTES, _ANCILLARY_BYTES)
        except BlockingIOError:
            return 0
        except OSError as error:
            self._lost(error)
            return 0
        empty_ns, before_ns = poller.empty_ns, poller.now_ns
        now_ns = poller.now_ns = monotonic_ns()
        if empty_ns < self._drained_ns:
            empty_ns = self._drained_ns
        if len(data) < READ_BYTES:
            self._drained_ns = before_ns  # it was empty after this read, which came after the one before
        lag_ns = _NO_STAMP
        if ancillary:
            seconds, rest = _timespec(ancillary[0][2])
            lag_ns = now_ns - (seconds * NS_PER_S + rest - self._clock.offset_ns)
        waited = lag_ns >> BIN_SHIFT
        if 0 <= waited < BINS and lag_ns <= now_ns - empty_ns + _SLACK_NS:
            self._lag_bins[waited] += 1
            self.is_sure = True
        else:
            lag_ns = self._strange_lag(lag_ns, now_ns - empty_ns)
        self._reads += 1
        shape = self.shape
        if shape is not None and self.is_sure and shape.take(data, now_ns - lag_ns):
            return len(data)
        reader = self.reader
        if reader is None:
            self.close()  # an idle connection has nothing to say: its end, or bytes that belong to no request
        elif not data:
            self._lost(None)
        elif poller.is_behind or self._backlog:
            self._put_off(data, now_ns - lag_ns, now_ns - lag_ns - empty_ns)
        else:
            self._empty_for_ns = now_ns - lag_ns - empty_ns
            self._doubt_ns = -1
            reader.feed(data, now_ns - lag_ns)
        return len(data)

    def _put_off(self, data: bytes, arrived_ns: int, empty_for_ns: int) -> None:
        """Parsing a first token takes ten times as long as reading it: meanwhile a second may come to another socket
        behind a first that is still unread, and the kernel keeps one stamp for both.
        """
        backlog = self._backlog
        if not backlog:
            self._poller.defer(self.catch_up)
            self.shape = None  # what comes next waits behind it
        backlog.append((data, arrived_ns, empty_for_ns, self.is_sure))
        if len(backlog) == _MOST_PUT_OFF or len(data) > _MOST_PUT_OFF_BYTES:
            self.catch_up()

    def catch_up(self) -> None:
        """Parse what was put off while other sockets had something to read."""
        if not self._backlog:
            return
        backlog, self._backlog = self._backlog, []
        is_one = len(backlog) == 1
        came_alone = not is_one and self._count_packets() == 0
        for data, arrived_ns, empty_for_ns, is_sure in backlog:
            reader, shape = self.reader, self.shape
            if reader is None:
                self.close()  # bytes behind the end of an answer
                return
            self.is_sure, self._empty_for_ns = is_sure, empty_for_ns
            self._doubt_ns = -1 if is_one else 0 if came_alone and is_sure else max(empty_for_ns, 0)
            if shape is None or not is_sure or not shape.take(data, arrived_ns):
                reader.feed(data, arrived_ns)

    def doubt_ns(self) -> int:
        """How much earlier than its stamp something in the last read may have arrived: 0 if all came in one packet.

        The stamp is that of the last packet. If no more packets came than there were reads since this was asked last,
        each read was one packet; else something may have come as early as the socket was last known to be empty.
        """
        if self._doubt_ns < 0:
            came_alone = self.is_sure and self._count_packets() == 0
            self._doubt_ns = 0 if came_alone else max(self._empty_for_ns, 0)
        return self._doubt_ns

    def _count_packets(self) -> int:
        """How many more packets than reads there were since this was asked last."""
        try:
            info = self._socket.getsockopt(socket.IPPROTO_TCP, socket.TCP_INFO, _TCP_INFO_BYTES)
        except OSError:
            return -1
        packets = _u32(info, _PACKETS_AT)
        more = packets - self._packets - self._reads
        self._packets, self._reads = packets, 0
        return more

    def _strange_lag(self, lag_ns: int, empty_for_ns: int) -> int:
        """The lag to go by when the stamp is missing, long past, or at odds with what the clocks allow."""
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
