"""Limits the work that a client's schema or expression may cause, and counts it as it is done."""

from __future__ import annotations

from mock_server.engine.author.drawing.problems import TooMuchWorkError

MAX_STEPS = 30_000
MAX_CHARACTERS = 100_000
_STEPS_AN_ANSWER, _CHARACTERS_AN_ANSWER = 1_500, 2_000


class Budget:
    """Steps bound time (a few microseconds each); characters bound memory.

    With `is_trial`, the work runs on the event loop and moves to a thread if it turns out to be long.
    """

    __slots__ = ("_characters", "_max_characters", "_max_steps", "_steps", "is_trial")

    def __init__(self, steps: int = MAX_STEPS, characters: int = MAX_CHARACTERS, *, is_trial: bool = False) -> None:
        self._max_steps = self._steps = steps
        self._max_characters = self._characters = characters
        self.is_trial = is_trial

    @classmethod
    def for_answers(cls, number: int) -> Budget:
        """For a request that asks for this many answers."""
        return cls(MAX_STEPS + number * _STEPS_AN_ANSWER, MAX_CHARACTERS + number * _CHARACTERS_AN_ANSWER)

    @property
    def steps_left(self) -> int:
        return max(self._steps, 0)

    @property
    def steps_spent(self) -> int:
        return self._max_steps - self.steps_left

    @property
    def characters_spent(self) -> int:
        return self._max_characters - self._characters

    def step(self, count: int = 1) -> None:
        """Raises `TooMuchWorkError` once the steps are used up."""
        self._steps -= count
        if self._steps < 0:
            raise TooMuchWorkError("it takes more work to satisfy than the simulated engine does for one request")

    def write(self, characters: int) -> None:
        """Call before text of this length is made. Raises `TooMuchWorkError` when it is too long."""
        self.check_room(characters)
        self._characters -= characters

    def check_room(self, characters: int) -> None:
        """Raises `TooMuchWorkError` if text of this length would exceed the budget."""
        if characters > self._characters:
            raise TooMuchWorkError(
                f"it asks for more text than the simulated engine writes in one answer ({MAX_CHARACTERS:,} characters)"
            )

    def ends_trial(self, problem: Exception) -> bool:
        """Whether the problem only means that the work has to move to a thread."""
        return self.is_trial and isinstance(problem, TooMuchWorkError)

    def half(self) -> Budget:
        """A separate budget for one of several attempts; charge it afterwards with `pay_for`."""
        return Budget(self.steps_left // 2, self._characters // 2, is_trial=self.is_trial)

    def pay_for(self, spent: Budget) -> None:
        """Charges this budget with what an attempt spent."""
        self._steps -= spent.steps_spent
        self._characters -= spent.characters_spent
