"""The simulated model's answers under a constraint: structured output and function calls."""

from __future__ import annotations

import json
import random
from collections.abc import Callable, Mapping, Sequence
from typing import Any

from pydantic_core import from_json

from mock_server.engine.author.drawing.budget import Budget
from mock_server.engine.author.drawing.expressions import Expressions
from mock_server.engine.author.drawing.free_object import free_object
from mock_server.engine.author.drawing.instances import InstanceDrawer
from mock_server.engine.author.drawing.problems import UndrawableError
from mock_server.engine.author.prompted_schema import prompted_schema
from mock_server.engine.base import CallForm, StructuredOutput
from mock_server.engine.errors import RequestRefusedError

_MOST_SHOWN = 80
_ANY_OBJECT = {"type": "object"}


class StructuredWriter:
    """Writes the answers of one request. The constraint is read once, and all answers share the budget."""

    def __init__(self, wanted: StructuredOutput, budget: Budget, prompt: Callable[[], str] = str) -> None:
        self._wanted = wanted
        self._budget = budget
        self._prompt = prompt
        self._draw: Callable[[random.Random], str] | None = None

    def text(self, source: random.Random) -> str:
        """Raises `RequestRefusedError`, or `TooMuchWorkError` during a trial."""
        wanted = self._wanted
        try:
            if self._draw is None:
                self._draw = self._reader()
            return self._draw(source)
        except RecursionError:
            problem = "it is nested too deeply"
        except UndrawableError as error:
            if self._budget.ends_trial(error):
                raise
            problem = _told(error)
        raise _refusal(problem, wanted.origin or "structured_outputs", wanted.subject) from None

    def _reader(self) -> Callable[[random.Random], str]:
        wanted, budget = self._wanted, self._budget
        if wanted.calls:
            return CallListDrawer(wanted.calls, budget).text
        match wanted.kind:
            case "json":
                drawer = InstanceDrawer(_schema(wanted.value), budget)
                return lambda source: _written(drawer.draw(source))
            case "json_object":
                return self._object_reader()
            case "choice":
                return lambda source: str(source.choice(wanted.value))
            case "regex":
                expressions = Expressions(budget)
                return lambda source: expressions.draw(wanted.value, source, whole=True)
        raise RequestRefusedError(
            f"the simulated engine does not support structured output by {wanted.kind}", "structured_outputs"
        )

    def _object_reader(self) -> Callable[[random.Random], str]:
        """Follows a schema in the prompt if it can be drawn. JSON mode never fails because of the prompt."""
        schema = prompted_schema(self._prompt())
        if schema is None:
            return lambda source: _written(free_object(source))
        drawer = InstanceDrawer(schema, self._budget)

        def text(source: random.Random) -> str:
            try:
                drawn = drawer.draw(source)
                if isinstance(drawn, dict):
                    return _written(drawn)
            except (UndrawableError, RecursionError) as error:
                if self._budget.ends_trial(error):
                    raise
            return _written(free_object(source))

        return text


class CallListDrawer:
    """Draws a call of one of several functions, for `tool_choice: required`."""

    def __init__(self, calls: Sequence[CallForm], budget: Budget) -> None:
        self._calls = calls
        self._budget = budget
        self._arguments = [ArgumentsDrawer(call.parameters, budget) for call in calls]

    def text(self, source: random.Random) -> str:
        """Raises `RequestRefusedError` about the first function if none can be called."""
        order = list(range(len(self._calls)))
        source.shuffle(order)
        problems: dict[int, RequestRefusedError] = {}
        for number in order:
            call = self._calls[number]
            try:
                arguments = self._arguments[number].draw(source)
            except UndrawableError as error:
                if self._budget.ends_trial(error):
                    raise
                problems[number] = _refusal(_told(error), call.origin, f"function {call.name!r}")
            else:
                return _written([{"name": call.name, "parameters": arguments}])
        raise problems.pop(min(problems))


class ArgumentsDrawer:
    """Draws arguments for one of several functions, without using up the budget of the others."""

    def __init__(self, parameters: Any, budget: Budget) -> None:
        self._parameters = parameters
        self._budget = budget

    def draw(self, source: random.Random) -> dict[str, Any]:
        """Raises `UndrawableError`."""
        budget = self._budget if self._budget.is_trial else self._budget.half()
        try:
            drawn = InstanceDrawer(self._parameters or _ANY_OBJECT, budget).draw(source)
        finally:
            if budget is not self._budget:
                self._budget.pay_for(budget)
        if not isinstance(drawn, dict):
            raise UndrawableError("the parameters of a function must be an object")
        return drawn


def first_call(
    functions: Sequence[Mapping[str, Any]], source: random.Random, budget: Budget
) -> tuple[str, dict[str, Any]] | None:
    """Name and arguments for the first function that can be called. During a trial it raises
    `TooMuchWorkError`.
    """
    for function in functions:
        try:
            arguments = ArgumentsDrawer(function.get("parameters"), budget).draw(source)
            _written(arguments)
        except UndrawableError as error:
            if budget.ends_trial(error):
                raise
        else:
            return str(function["name"]), arguments
    return None


def _schema(value: Any) -> Any:
    """Accepts an object or its JSON text."""
    if not isinstance(value, str):
        return value
    try:
        return from_json(value)
    except ValueError as error:
        raise UndrawableError(f"it is not valid JSON: {error}") from None


def _written(value: Any) -> str:
    try:
        return json.dumps(value, ensure_ascii=False, allow_nan=False)
    except ValueError:
        raise UndrawableError("it requires a number that JSON cannot represent") from None


def _told(problem: UndrawableError) -> str:
    """As text: a local variable with the exception would keep its frames, and all that they drew, for the garbage
    collector.
    """
    place = f" (at {problem.where[:_MOST_SHOWN]})" if problem.where else ""
    return f"{problem}{place}"


def _refusal(problem: str, field: str, subject: str) -> RequestRefusedError:
    about = f" ({subject})" if subject else ""
    return RequestRefusedError(f"{field}{about}: {problem}", field)
