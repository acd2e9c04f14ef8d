"""What `infer` does at an endpoint: a chat, one question, or an evaluation; with errors for people."""

from __future__ import annotations

import asyncio
import contextlib
from collections.abc import Iterator, Mapping, Sequence
from typing import Any, NamedTuple

from mock_server.dataset.sample import Sample
from mock_server.embedded.endpoint import Endpoint
from mock_server.engine.errors import EngineDeadError
from mock_server.infer.chat import Chat
from mock_server.infer.chat_commands import COMMANDS, MARK
from mock_server.infer.conversation import Conversation
from mock_server.infer.evaluation import Plan, evaluate
from mock_server.infer.line_editor import LineEditor, PlainEditor, history_file, make_editor
from mock_server.infer.one_shot import answer_once
from mock_server.infer.progress import shown_tally
from mock_server.infer.results_file import ResultsFile
from mock_server.infer.scoring import Scorer
from mock_server.infer.settings import SettingError, Settings
from mock_server.infer.speaker import Speaker, UnknownModelError, find_speaker, speakers
from mock_server.infer.terminal import Terminal
from sdk import AsyncInferenceClient, ConfigError, InferenceClient, SDKError


class SessionError(Exception):
    """Nobody can answer, or not so. One line; `is_wrong_use` if the user can do it another way."""

    def __init__(self, message: str, *, is_wrong_use: bool = False) -> None:
        super().__init__(message)
        self.is_wrong_use = is_wrong_use


class _Met(NamedTuple):
    client: InferenceClient
    known: Sequence[Speaker]
    speaker: Speaker
    settings: Settings


@contextlib.contextmanager
def _met(endpoint: Endpoint) -> Iterator[_Met]:
    """The endpoint's models, and the one that is asked. Raises `SessionError`."""
    with _told(), InferenceClient(**endpoint.client_options()) as client:
        settings = Settings(endpoint.request_fields)
        known = speakers(client.models())
        yield _Met(client, known, find_speaker(known, endpoint.model), settings)


@contextlib.contextmanager
def _told() -> Iterator[None]:
    try:
        yield
    except (ConfigError, SettingError, UnknownModelError) as error:
        raise SessionError(getattr(error, "message", str(error)), is_wrong_use=True) from None
    except SDKError as error:
        raise SessionError(error.message) from None
    except EngineDeadError:
        raise SessionError("the model has died") from None


def chat(endpoint: Endpoint, terminal: Terminal, environment: Mapping[str, str]) -> None:
    """Until the user ends it. Raises `SessionError`."""
    with _met(endpoint) as met:
        words = [f"{MARK}{name}" for name in COMMANDS]
        editor: LineEditor
        if terminal.is_interactive and not terminal.is_dumb:
            editor = make_editor(terminal.out, words, history_file(environment))
        else:
            editor = PlainEditor(terminal.err)
        conversation = Conversation(endpoint.system if met.speaker.is_chat else None)
        Chat(met.client, met.known, met.speaker, met.settings, conversation, terminal, endpoint.check).run(editor)


def ask(endpoint: Endpoint, question: str, terminal: Terminal) -> None:
    """Raises `SessionError`, and `BrokenPipeError` if nobody reads the answer."""
    with _met(endpoint) as met:
        messages = Conversation(endpoint.system).asked(question)
        answer_once(met.client, met.speaker, messages, met.settings.request(), terminal)


def find_model(endpoint: Endpoint) -> str:
    """The name of the model that is asked. Raises `SessionError`."""
    with _met(endpoint) as met:
        return met.speaker.name


def evaluate_rows(
    endpoint: Endpoint, samples: Sequence[Sample], results: ResultsFile, at_once: int, terminal: Terminal
) -> None:
    """Asks the rows that the results do not have. Raises `SessionError` and `ResultsError`."""
    with _met(endpoint) as met:
        _check_rows(samples, met.speaker)
        plan = Plan(samples, met.speaker, met.settings.request(), endpoint.system, at_once, endpoint.check)
        scorer = Scorer()
        with shown_tally(len(samples), len(results.results), terminal) as tally:
            asyncio.run(_evaluate(plan, endpoint.client_options(), results, scorer, tally))


async def _evaluate(plan: Plan, options: Mapping[str, Any], results: ResultsFile, scorer: Scorer, tally: Any) -> None:
    async with AsyncInferenceClient(**options) as client:
        await evaluate(plan, client, results, scorer, tally)


def _check_rows(samples: Sequence[Sample], speaker: Speaker) -> None:
    """Raises `SessionError`."""
    if speaker.is_chat:
        return
    longer = next((sample for sample in samples if len(sample.messages) > 1), None)
    if longer is not None:
        raise SessionError(
            f"{longer.origin} has more than a question, and {speaker.name} is a base model, which takes only that",
            is_wrong_use=True,
        )
