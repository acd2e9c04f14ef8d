"""When the parts of one request and its answer passed over the wire."""

from __future__ import annotations


class Timing:
    """Filled in by the wire and by the receiver as it happens. Stamps are `time.monotonic_ns()`.

    `sent_ns` is when the last byte of the request was handed to the kernel, which took `send_took_ns`. `head_ns` is
    when the header block of the answer was complete, `read_ns` the stamp of the last read. The wire sets `opened` when
    it makes a connection for the request, and `reopened` when it does so because a kept one turned out to be dead;
    `waited_ns` adds up the time before the send that was spent on that, or on a server that did not read the request
    yet. `freed_ns` is when the wire needed nothing more for the answer.
    """

    __slots__ = ("freed_ns", "head_ns", "opened", "read_ns", "reopened", "send_took_ns", "sent_ns", "waited_ns")

    def __init__(self) -> None:
        self.sent_ns: int | None = None
        self.head_ns: int | None = None
        self.send_took_ns = self.read_ns = self.waited_ns = self.freed_ns = 0
        self.opened = self.reopened = False

    def mark_head(self, arrived_ns: int) -> None:
        """The header block is complete. Where it arrived while the send had not returned yet, the send was over."""
        self.head_ns = self.read_ns = arrived_ns
        if self.sent_ns is not None and arrived_ns < self.sent_ns:
            late_ns = min(self.sent_ns - arrived_ns, self.send_took_ns)
            self.sent_ns -= late_ns
            self.send_took_ns -= late_ns
