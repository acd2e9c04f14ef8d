"""Why nothing could be drawn."""


class UndrawableError(ValueError):
    """The schema or expression is not valid, contradicts itself, or is more than the simulated engine can satisfy.

    `where` is the place in the instance, as a dotted path; empty: its root.
    """

    def __init__(self, message: str) -> None:
        super().__init__(message)
        self.where: str | None = None


class NoTextError(UndrawableError):
    """No text was found that matches an expression and has the length asked for."""


class TooMuchWorkError(UndrawableError):
    """The budget is used up."""
