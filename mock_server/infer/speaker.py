"""Who answers: a model or an adapter of the server, and how it is asked."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, NamedTuple

from mock_server.infer.figures import AnswerFigures
from sdk import InferenceClient, ModelList
from streamgauge.nearest import did_you_mean

USAGE = {"include_usage": True}
_CUT_OFF = "length"


class UnknownModelError(ValueError):
    """The server has no model of this name. The message names those that it has."""


class Speaker(NamedTuple):
    """A model or an adapter. One that does not chat continues a text."""

    name: str
    is_chat: bool
    context: int | None


def speakers(models: ModelList) -> list[Speaker]:
    """All of a server, the main model first. Those of servers that do not say so are taken to chat."""
    return [Speaker(card.id, card.is_chat is not False, card.max_model_len) for card in models.data]


def find_speaker(known: Sequence[Speaker], name: str | None) -> Speaker:
    """The first without a name. Raises `UnknownModelError`."""
    found = next((each for each in known if name in (None, each.name)), None)
    if found is not None:
        return found
    names = [each.name for each in known]
    if name is None:
        raise UnknownModelError("the server has no models")
    raise UnknownModelError(f"model {name} is not served; there are: {', '.join(names)}.{did_you_mean(name, names)}")


class Piece(NamedTuple):
    """A piece of an answer, or of the thoughts before it."""

    text: str
    is_thought: bool = False


@dataclass(slots=True)
class Answer:
    """One answer as it arrives. Iterate over `pieces` once; leaving it early stops the model."""

    client: InferenceClient
    speaker: Speaker
    messages: Sequence[Mapping[str, str]]
    fields: Mapping[str, Any]
    text: str = ""
    finish_reason: str | None = None
    figures: AnswerFigures = field(default_factory=AnswerFigures)

    def pieces(self) -> Iterator[Piece]:
        """Raises `SDKError`."""
        for piece in self._chat() if self.speaker.is_chat else self._completion():
            self.figures.piece_arrived()
            if not piece.is_thought:
                self.text += piece.text
            yield piece

    @property
    def is_cut_off(self) -> bool:
        """Whether it ended because of a limit on its length."""
        return self.finish_reason == _CUT_OFF

    def _chat(self) -> Iterator[Piece]:
        fields: Any = {**self.fields, "stream_options": USAGE}
        with self.client.chat_stream(self.speaker.name, self.messages, **fields) as stream:
            for chunk in stream:
                delta = chunk.choices[0].delta
                if delta.thoughts:
                    yield Piece(delta.thoughts, is_thought=True)
                if delta.content:
                    yield Piece(delta.content)
            self._ended(stream)

    def _completion(self) -> Iterator[Piece]:
        fields: Any = {**self.fields, "stream_options": USAGE}
        with self.client.complete_stream(self.speaker.name, self.messages[-1]["content"], **fields) as stream:
            for chunk in stream:
                if chunk.choices[0].text:
                    yield Piece(chunk.choices[0].text)
            self._ended(stream)

    def _ended(self, stream: Any) -> None:
        self.finish_reason = stream.finish_reason
        usage = stream.usage
        self.figures.ended(*((None, None) if usage is None else (usage.prompt_tokens, usage.completion_tokens)))
