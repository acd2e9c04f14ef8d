"""The limit on the bytes of an answer, and the collection of its body within that limit, without I/O."""

from __future__ import annotations

from sdk.errors import AnswerTooLargeError, ConfigError
from sdk.json_weight import is_over_weight

MAX_ANSWER_BYTES = 32 * 1024 * 1024
# Parsed JSON takes more memory than its text, so the limit on memory is a multiple of the limit on bytes.
_MEMORY_FACTOR = 4
_MODEL_BYTES = 800  # of an object: the dict it is parsed into, and the model made from the dict
_REMEDY = "ask for less (max_tokens, n, logprobs), or give the client a higher max_answer_bytes"


def answer_bytes(given: object) -> int:
    """The limit given to a client, or the default. Raises ConfigError for anything but a positive integer."""
    if given is None:
        return MAX_ANSWER_BYTES
    if isinstance(given, bool) or not isinstance(given, int) or given < 1:
        raise ConfigError(f"{given!r} must be a positive integer, the number of bytes", field="max_answer_bytes")
    return given


def too_large(limit: int, what: str = "the answer") -> AnswerTooLargeError:
    """The error for an answer over the limit."""
    return AnswerTooLargeError(f"{what} is over {limit} bytes, the limit of this client; {_REMEDY}")


def check_weight(body: bytes, limit: int) -> None:
    """Raises AnswerTooLargeError if the parsed JSON would take many times the memory of its text."""
    if is_over_weight(body, limit * _MEMORY_FACTOR, _MODEL_BYTES):
        raise AnswerTooLargeError(
            f"the answer's {len(body)} bytes of JSON hold too many values to parse within the limit of this client,"
            f" max_answer_bytes={limit}; {_REMEDY}"
        )


class ArrivingBody:
    """A body as it arrives. Over the limit, an answer is an error; of any other body the beginning is enough."""

    __slots__ = ("_data", "_is_answer", "_limit", "_size")

    def __init__(self, limit: int, *, is_answer: bool) -> None:
        self._limit = limit
        self._is_answer = is_answer
        self._size = 0
        self._data: bytes | bytearray = b""

    def take(self, data: bytes) -> bool:
        """Add a block; returns whether to read more."""
        self._size += len(data)
        if self._size > self._limit and self._is_answer:
            self._data = b""
            return False
        if not self._data:
            self._data = data  # most answers arrive in one block
        else:
            if isinstance(self._data, bytes):
                self._data = bytearray(self._data)  # one buffer: millions of small blocks would take far more
            self._data += data
        return self._size <= self._limit

    def whole(self) -> bytes:
        """The body. Raises AnswerTooLargeError for an answer over the limit."""
        if self._is_answer and self._size > self._limit:
            raise too_large(self._limit)
        return bytes(self._data)
