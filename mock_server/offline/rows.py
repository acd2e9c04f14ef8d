"""Requests and responses as on ms-swift's page: plain dicts, with histories that grow."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, NotRequired, Required, TypedDict

from mock_server.engine.base import ChatTurn
from streamgauge.nearest import did_you_mean

_KEYS = ("query", "history", "system")
_MEDIA = ("images", "audios", "videos", "objects")
_OBSERVATION = "Observation:"


class InferRequest(TypedDict, total=False):
    """One row of a request list. `history` has pairs of query and response."""

    query: Required[str]
    history: Sequence[Sequence[str]]
    system: str | None


class InferResponse(TypedDict):
    """`history` is the request's with this query and response added. `responses` has all n responses if n > 1."""

    response: str
    history: list[list[str]]
    responses: NotRequired[list[str]]
    logprobs: NotRequired[dict[str, Any]]


class FailedResponse(TypedDict):
    """A row that failed with `strict=False`. Its history is the request's own."""

    response: None
    history: list[list[str]]
    error: Exception


class RowsFailedError(Exception):
    """Some rows failed. `results` has the result of every row, failed or not, in order."""

    def __init__(self, results: Sequence[InferResponse | FailedResponse]) -> None:
        self.results = list(results)
        failed = [(number, row.get("error")) for number, row in enumerate(self.results) if "error" in row]
        number, error = failed[0]
        super().__init__(
            f"{len(failed)} of {len(self.results)} rows failed; request_list[{number}]: {str(error).rstrip('.')}."
            " The responses of the others are in .results; with strict=False, failed rows have their errors there."
        )

    def __reduce__(self) -> Any:
        return type(self), (self.results,)


class RowError(ValueError):
    """An invalid request. The message names the row, the field and the problem."""


@dataclass(frozen=True, slots=True)
class Row:
    """A request that was read. An observation continues the last response instead of starting a new turn."""

    turns: tuple[ChatTurn, ...]
    query: str
    history: tuple[tuple[str, str], ...]
    is_observation: bool = False

    def grown(self, response: str) -> list[list[str]]:
        """A copy of the history with the response added."""
        pairs = [list(pair) for pair in self.history]
        if self.is_observation:
            pairs[-1][1] += self.query + response
        else:
            pairs.append([self.query, response])
        return pairs


def read_row(request: Mapping[str, Any], number: int, default_system: str | None = None) -> Row:
    """Reads a request and copies its values. Raises `RowError`."""
    where = f"request_list[{number}]"
    if not isinstance(request, Mapping):
        raise RowError(f"{where} must be a dict with 'query' (got {type(request).__name__})")
    _check_keys(request, where)
    query = request.get("query")
    if not isinstance(query, str):
        raise RowError(f"{where}['query'] must be a string (got {_shown(query)})")
    _check_text(query, f"{where}['query']")
    system = request.get("system")
    if system is not None:
        if not isinstance(system, str):
            raise RowError(f"{where}['system'] must be a string or None (got {_shown(system)})")
        _check_text(system, f"{where}['system']")
    history = _read_history(request.get("history"), f"{where}['history']")
    is_observation = bool(history) and history[-1][1].endswith(_OBSERVATION)
    return Row(
        tuple(_turns(query, history, default_system if system is None else system, is_observation)),
        query,
        history,
        is_observation,
    )


def _turns(query: str, history: Sequence[tuple[str, str]], system: str | None, is_observation: bool) -> list[ChatTurn]:
    turns = [] if system is None else [ChatTurn("system", system)]
    for asked, answered in history:
        turns += [ChatTurn("user", asked), ChatTurn("assistant", answered)]
    if is_observation:
        turns[-1] = ChatTurn("assistant", turns[-1].content + query)
    else:
        turns.append(ChatTurn("user", query))
    return turns


def _check_keys(request: Mapping[str, Any], where: str) -> None:
    for key in request:
        if key in _MEDIA and request[key]:
            raise RowError(f"{where}[{key!r}] is not supported: models here read text only")
        if key not in (*_KEYS, *_MEDIA):
            hint = did_you_mean(str(key), _KEYS)
            raise RowError(f"{where} has an unknown key {key!r}; known keys are {', '.join(_KEYS)}.{hint}")


def _read_history(history: Any, where: str) -> tuple[tuple[str, str], ...]:
    if history is None:
        return ()
    if isinstance(history, (str, Mapping)) or not isinstance(history, Iterable):
        raise RowError(f"{where} must be a list of pairs of query and response (got {_shown(history)})")
    return tuple(_read_pair(pair, f"{where}[{number}]") for number, pair in enumerate(history))


def _read_pair(pair: Any, where: str) -> tuple[str, str]:
    if isinstance(pair, str) or not isinstance(pair, Sequence) or len(pair) != 2:
        raise RowError(f"{where} must be a pair of query and response (got {_shown(pair)})")
    asked, answered = pair
    if not isinstance(asked, str) or not isinstance(answered, str):
        raise RowError(f"{where} must be two strings (got {_shown(pair)})")
    _check_text(asked, where)
    _check_text(answered, where)
    return asked, answered


def _check_text(text: str, where: str) -> None:
    """Raises `RowError` for half a surrogate pair: tokenizers fail on it without reporting where it is."""
    try:
        text.encode()
    except UnicodeEncodeError as error:
        raise RowError(
            f"{where} has half a surrogate pair ({text[error.start]!a}) at {error.start}, which is not valid text"
        ) from None


def _shown(value: object) -> str:
    text = repr(value)
    return text if len(text) <= 100 else text[:99] + "…"
