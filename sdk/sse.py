"""Decodes server-sent events from a stream of bytes, by the WHATWG standard and without I/O.

https://html.spec.whatwg.org/multipage/server-sent-events.html#event-stream-interpretation
"""

from __future__ import annotations

import re

from sdk.errors import ProtocolError
from sdk.json_weight import LIGHT_BYTES, is_over_weight

MAX_EVENT_BYTES = 16 * 1024 * 1024
_MAX_EVENT_WEIGHT = 48 * 1024 * 1024  # bytes of memory that its values would take once parsed
_BOM = b"\xef\xbb\xbf"
_LF, _CR = b"\n\r"  # as numbers: `in` finds a byte's number nine times faster than bytes of length one
_LINE_END = re.compile(rb"\r\n|\n|\r")


class TypedEvent(bytes):
    """The data of an event with a type of its own (`event: error`); plain bytes have the type `message`."""

    event: str

    def __new__(cls, data: bytes, event: str) -> TypedEvent:
        self = super().__new__(cls, data)
        self.event = event
        return self


class EventDecoder:
    """Turns blocks of a stream into the data of its events.

    `feed` returns the data of each event that a block completes, in order, wherever the blocks are cut. Comments, ids,
    retry times and events without data are dropped. The common case, a block of whole `data: …` frames, takes a slice
    rather than a loop over lines.
    """

    __slots__ = ("_at_start", "_between", "_data", "_event", "_held", "_held_bytes", "_max_event_bytes", "_skip_lf")

    def __init__(self, max_event_bytes: int = MAX_EVENT_BYTES) -> None:
        self._max_event_bytes = max_event_bytes
        self._held = (
            bytearray()
        )  # the unfinished line, in one buffer: millions of small pieces would take far more memory
        self._held_bytes = 0
        self._data = bytearray()  # the data lines of the unfinished event, each with a line end
        self._event = ""
        self._skip_lf = False  # the last block ended in CR: a leading LF belongs to it
        self._at_start = True
        self._between = False  # nothing is held, so the next block begins an event

    def feed(self, block: bytes) -> list[bytes]:
        """The data of the events that `block` completes. Raises ProtocolError for an event over the limit."""
        if self._between and block.startswith(b"data: ") and block.endswith(b"\n\n") and _CR not in block:
            if block.find(_LF) == len(block) - 2:
                return [block[6:-2]] if len(block) > 8 else []
            return self._feed_frames(block)
        if self._at_start:
            block = self._strip_bom(block)
        has_lines_alone = self._skip_lf or self._at_start or _CR in block
        events = self._feed_lines(block) if has_lines_alone else self._feed_around_frames(block)
        self._between = not (self._at_start or self._held or self._data or self._event or self._skip_lf)
        return events

    def feed_eof(self) -> list[bytes]:
        """The data of a last event that lacks its blank line, if there is one."""
        if self._at_start:
            self._at_start = False
        if self._held:
            self._line(bytes(self._held))
            self._held.clear()
        return self._dispatch()

    def _strip_bom(self, block: bytes) -> bytes:
        if self._held:
            block = bytes(self._held) + block
            self._held.clear()
        if len(block) < len(_BOM) and _BOM.startswith(block):
            if block:
                self._held += block
            return b""
        self._at_start = False
        return block.removeprefix(_BOM)

    def _feed_around_frames(self, block: bytes) -> list[bytes]:
        """A block that begins or ends within an event: between its first and last blank line are whole frames."""
        begin, end = block.find(b"\n\n") + 2, block.rfind(b"\n\n") + 2
        if not block.startswith(b"data: ", begin) or end <= begin or begin == 1:
            return self._feed_lines(block)
        return [*self._feed_lines(block[:begin]), *self._feed_frames(block[begin:end]), *self._feed_lines(block[end:])]

    def _feed_frames(self, block: bytes) -> list[bytes]:
        payloads = block[6:-2].split(b"\n\ndata: ")
        if b"" not in payloads and block.count(b"\n") == 2 * len(payloads):  # no other lines
            return payloads
        events: list[bytes] = []
        for frame in block[:-2].split(b"\n\n"):
            if frame.startswith(b"data: ") and _LF not in frame:
                if len(frame) > 6:
                    events.append(frame[6:])
            else:
                events += self._feed_lines(frame + b"\n\n")
        return events

    def _feed_lines(self, block: bytes) -> list[bytes]:
        if self._skip_lf and block:
            self._skip_lf = False
            block = block.removeprefix(b"\n")
        if not block:
            return []
        events: list[bytes] = []
        *lines, rest = _LINE_END.split(block)
        if lines:
            if self._held:
                self._held += lines[0]
                lines[0] = bytes(self._held)
                self._held = bytearray()
            self._skip_lf = block[-1:] == b"\r"
            for line in lines:
                if line:
                    self._line(line)
                else:
                    if self._data or self._event:
                        events += self._dispatch()
                    self._held_bytes = 0
        if rest:
            self._held += rest
        if lines and not self._data:
            self._held_bytes = len(rest)  # comments and ids need no memory
        else:
            self._held_bytes += len(block)
        if self._held_bytes > self._max_event_bytes and (self._held or self._data):
            raise ProtocolError(f"one event of the stream is over {self._max_event_bytes} bytes")
        return events

    def _line(self, line: bytes) -> None:
        name, colon, value = line.partition(b":")
        if not name and colon:
            return  # a comment
        value = value.removeprefix(b" ")
        if name == b"data":
            self._add(value)
        elif name == b"error":  # not standard: servers built on older llama.cpp report errors this way
            self._add(value)
            self._event = "error"
        elif name == b"event":
            self._event = value.decode("utf-8", "replace")

    def _add(self, value: bytes) -> None:
        self._data += value
        self._data += b"\n"

    def _dispatch(self) -> list[bytes]:
        del self._data[-1:]
        data, event = bytes(self._data), self._event
        self._data = bytearray()
        self._event = ""
        if not data:
            return []
        if len(data) > LIGHT_BYTES and is_over_weight(data, _MAX_EVENT_WEIGHT):
            raise ProtocolError(f"one event of the stream has too many values in its {len(data)} bytes of JSON")
        return [data] if event in ("", "message") else [TypedEvent(data, event)]
