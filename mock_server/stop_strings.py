"""Stop strings over text that comes in pieces: text that may be the beginning of one is held back."""

from collections.abc import Sequence


class StopStrings:
    """The string that is complete first wins, of two that end together the longer: whatever the pieces are."""

    __slots__ = ("_held", "_strings", "matched")

    def __init__(self, strings: Sequence[str]) -> None:
        self._strings = tuple(strings)
        self._held = ""
        self.matched: str | None = None

    def push(self, text: str) -> str:
        """Text that may be shown. After a match (`matched`) what came before it is returned, and nothing more."""
        buffer = self._held + text
        end, found = len(buffer) + 1, None
        for string in self._strings:
            at = buffer.find(string)
            if at >= 0 and (at + len(string), at) < (end, end - len(found or "")):
                end, found = at + len(string), string
        if found is not None:
            self.matched = found
            self._held = ""
            return buffer[: end - len(found)]
        keep = max((overlap(buffer, string) for string in self._strings), default=0)
        self._held = buffer[len(buffer) - keep :]
        return buffer[: len(buffer) - keep]

    def flush(self) -> str:
        """The text held back, when no more comes."""
        held, self._held = self._held, ""
        return held


def overlap(text: str, string: str) -> int:
    """The length of the longest end of `text` with which `string` begins, `string` itself left out."""
    for length in range(min(len(string) - 1, len(text)), 0, -1):
        if text.endswith(string[:length]):
            return length
    return 0
