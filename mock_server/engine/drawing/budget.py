"""How much work a client's schema or expression may cause, counted while the work is done."""

from .problems import TooMuchWorkError

MAX_STEPS = 30_000
MAX_CHARACTERS = 100_000
_STEPS_AN_ANSWER, _CHARACTERS_AN_ANSWER = 1_500, 2_000


class Budget:
    """Steps stand for time, some microseconds each; characters stand for memory.

    With `is_trial` the work is tried where it would hold others up, and done elsewhere if it turns out to be long.
    """

    __slots__ = ("_characters", "_max_characters", "_max_steps", "_steps", "is_trial")

    def __init__(self, steps: int = MAX_STEPS, characters: int = MAX_CHARACTERS, *, is_trial: bool = False) -> None:
        self._max_steps = self._steps = steps
        self._max_characters = self._characters = characters
        self.is_trial = is_trial

    @classmethod
    def for_answers(cls, number: int) -> "Budget":
        """For a request that wants so many."""
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
        """Raises `TooMuchWorkError` when the steps are used up."""
        self._steps -= count
        if self._steps < 0:
            raise TooMuchWorkError("it takes more work to satisfy than the simulated engine spends on one request")

    def write(self, characters: int) -> None:
        """Call before text of this length is made. Raises `TooMuchWorkError` when it is too long."""
        self.check_room(characters)
        self._characters -= characters

    def check_room(self, characters: int) -> None:
        """Raises `TooMuchWorkError` where text of this length could not be written."""
        if characters > self._characters:
            raise TooMuchWorkError(
                f"it asks for more text than the simulated engine writes in one answer ({MAX_CHARACTERS:,} characters)"
            )

    def half(self) -> "Budget":
        """A budget of its own for one of several attempts; pay for it with `pay_for`."""
        return Budget(self.steps_left // 2, self._characters // 2, is_trial=self.is_trial)

    def pay_for(self, spent: "Budget") -> None:
        """Takes what an attempt has spent out of this budget."""
        self._steps -= spent.steps_spent
        self._characters -= spent.characters_spent
