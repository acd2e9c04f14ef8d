"""How much of an answer is taken: the limit on its bytes, and what of them is kept as they arrive, without I/O."""

from __future__ import annotations

from sdk.errors import AnswerTooLargeError, ConfigError
from sdk.json_weight import is_over_weight

MAX_ANSWER_BYTES = 32 * 1024 * 1024
# Parsed JSON takes more memory than its text, so the limit on the memory is a multiple of that on the bytes.
_MEMORY_FACTOR = 4
_MODEL_BYTES = 800  # of an object: the dict that it is read into, and the model made of that
_REMEDY = "ask for less (max_tokens, n, logprobs), or give the client a higher max_answer_bytes"


def answer_bytes(given: object) -> int:
    """The limit that a client was given, or the default. Raises ConfigError for anything but a positive integer."""
    if given is None:
        return MAX_ANSWER_BYTES
    if isinstance(given, bool) or not isinstance(given, int) or given < 1:
        raise ConfigError(f"max_answer_bytes: {given!r} must be a positive integer, the number of bytes")
    return given


def too_large(limit: int, what: str = "the answer") -> AnswerTooLargeError:
    """The error for an answer that does not end within the limit."""
    return AnswerTooLargeError(f"{what} is over {limit} bytes, the limit of this client; {_REMEDY}")


def check_weight(body: bytes, limit: int) -> None:
    """Raises AnswerTooLargeError where the parsed JSON would take many times the memory of its text."""
    if is_over_weight(body, limit * _MEMORY_FACTOR, _MODEL_BYTES):
        raise AnswerTooLargeError(
            f"the answer's {len(body)} bytes of JSON hold too many values to be parsed within the limit of this client,"
            f" max_answer_bytes={limit}; {_REMEDY}"
        )


class ArrivingBody:
    """A body as it arrives. Over the limit it is an error if it is an answer; else its beginning is enough."""

    __slots__ = ("_data", "_is_answer", "_limit", "_size")

    def __init__(self, limit: int, *, is_answer: bool) -> None:
        self._limit = limit
        self._is_answer = is_answer
        self._size = 0
        self._data: bytes | bytearray = b""

    def take(self, data: bytes) -> bool:
        """Add what came; whether more is wanted."""
        self._size += len(data)
        if self._size > self._limit and self._is_answer:
            self._data = b""
            return False
        if not self._data:
            self._data = data  # most answers come in one block
        else:
            if isinstance(self._data, bytes):
                self._data = bytearray(self._data)  # one buffer: millions of small blocks would take far more
            self._data += data
        return self._size <= self._limit

    def whole(self) -> bytes:
        """What came. Raises AnswerTooLargeError for an answer over the limit."""
        if self._is_answer and self._size > self._limit:
            raise too_large(self._limit)
        return bytes(self._data)
