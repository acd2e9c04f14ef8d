"""Requests and responses as the page has them: plain dicts in, plain dicts out, histories that grow."""

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
    """One row of a request list; `history` holds pairs of query and response."""

    query: Required[str]
    history: Sequence[Sequence[str]]
    system: str | None


class InferResponse(TypedDict):
    """`history` is the request's with this query and response added; `responses` are all n of them, where n > 1."""

    response: str
    history: list[list[str]]
    responses: NotRequired[list[str]]
    logprobs: NotRequired[dict[str, Any]]


class FailedResponse(TypedDict):
    """A row that failed under `strict=False`; its history is the request's own."""

    response: None
    history: list[list[str]]
    error: Exception


class RowsFailedError(Exception):
    """Some rows failed. `results` has every row's, in order: those that did not fail are not lost."""

    def __init__(self, results: Sequence[InferResponse | FailedResponse]) -> None:
        self.results = list(results)
        failed = [(number, row.get("error")) for number, row in enumerate(self.results) if "error" in row]
        number, error = failed[0]
        super().__init__(
            f"{len(failed)} of {len(self.results)} rows failed; request_list[{number}]: {str(error).rstrip('.')}."
            " The others are in .results; strict=False returns them all, each failed row with its error."
        )

    def __reduce__(self) -> Any:
        return type(self), (self.results,)


class RowError(ValueError):
    """A request is not one; the message names the row, the field and what is wrong."""


@dataclass(frozen=True, slots=True)
class Row:
    """A request that was read. An observation goes on from the last response instead of asking anew."""

    turns: tuple[ChatTurn, ...]
    query: str
    history: tuple[tuple[str, str], ...]
    is_observation: bool = False

    def grown(self, response: str) -> list[list[str]]:
        """The history with the response added, as lists of its own."""
        pairs = [list(pair) for pair in self.history]
        if self.is_observation:
            pairs[-1][1] += self.query + response
        else:
            pairs.append([self.query, response])
        return pairs


def read_row(request: Mapping[str, Any], number: int, default_system: str | None = None) -> Row:
    """Copies what it needs. Raises `RowError`."""
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
            raise RowError(f"{where}[{key!r}] cannot be served: models here read text only")
        if key not in (*_KEYS, *_MEDIA):
            raise RowError(f"{where} has a key {key!r}; it may have {', '.join(_KEYS)}.{did_you_mean(str(key), _KEYS)}")


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
    """Half a surrogate pair is no character, and tokenizers fail on it without a word about where it stands."""
    try:
        text.encode()
    except UnicodeEncodeError as error:
        raise RowError(
            f"{where} has half a surrogate pair ({text[error.start]!a}) at {error.start}: it is no text"
        ) from None


def _shown(value: object) -> str:
    text = repr(value)
    return text if len(text) <= 100 else text[:99] + "…"
