"""What can go wrong in an engine, grouped by who can do something about it."""

from __future__ import annotations

from mock_server.engine.wording import Part, WordedError


class EngineOptionError(WordedError, ValueError):
    """An engine cannot be made from these options; the message names the option and the remedy."""


class EngineError(WordedError):
    """The engine failed a request that was valid."""


class RequestRefusedError(EngineError):
    """The request itself is wrong. `field` is the field at fault, if known."""

    def __init__(self, message: str, field: str | None = None) -> None:
        super().__init__(message)
        self.field = field


class PromptTooLongError(RequestRefusedError):
    """The prompt is far longer than the model's context of `context` tokens: it has at least `least` tokens."""

    def __init__(self, context: int, least: int, field: str) -> None:
        super().__init__(
            f"This model's maximum context length is {context} tokens. However, the prompt has at least {least} tokens:"
            " shorten it.",
            field,
        )


class EngineBusyError(EngineError):
    """The engine admits no more requests for now."""


class EngineDeadError(EngineError):
    """The engine has stopped or died. It serves nothing until it is started again."""


class EngineStartError(EngineError):
    """The engine cannot start. The message gives the reason and the remedy."""


class AdapterError(EngineError):
    """An adapter cannot be served. The message gives the reason and the remedy.

    It may name paths and files of this machine. `public` does not: it is for callers over the network.
    """

    def __init__(self, *parts: Part, public: str | None = None) -> None:
        super().__init__(*parts)
        self.public = str(self) if public is None else public


class AdapterNotFoundError(AdapterError):
    """There is no adapter at the path given."""
