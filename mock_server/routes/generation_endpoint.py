"""The common part of chat and completions: run the generation, and stream its events or gather its answer."""

from __future__ import annotations

import asyncio
import logging
import time
from abc import ABC, abstractmethod
from collections.abc import Iterator
from dataclasses import dataclass, field
from typing import TypeVar

from mock_server.admission import ChoicesShare
from mock_server.answer.bodies import Usage
from mock_server.answer.frames import FrameOptions, Frames
from mock_server.answer.generation import Generation
from mock_server.answer.logprobs import WrittenLogprobs, prompt_logprobs_json
from mock_server.engine.base import FinishReason
from mock_server.engine.errors import EngineBusyError
from mock_server.errors import ApiError
from mock_server.http.exchange import AsgiExchange, ClientGoneError
from mock_server.limits.request_cost import check_answer_likelihoods, check_prompt_likelihoods
from mock_server.request.bodies import GenerationRequest
from mock_server.request_limits import BYTES_A_CHOICE, BYTES_A_LIKELIHOOD
from mock_server.routes.endpoint import Endpoint
from mock_server.routes.event_stream import EventStream
from mock_server.telemetry.metrics import RequestMeter

_R = TypeVar("_R", bound=GenerationRequest)
_NOT_ADMITTED = (429, 503)
_POSITIONS_A_TURN = 100
_CHOICES_A_TURN = 256
_FEW_LIKELIHOODS = 1_000
_LIKELIHOODS_A_CHOICE = BYTES_A_CHOICE // BYTES_A_LIKELIHOOD
_log = logging.getLogger(__name__)


@dataclass(slots=True)
class WholeChoice:
    """A choice of an answer that is not streamed, gathered from its deltas."""

    pieces: list[str] = field(default_factory=list)
    logprobs: WrittenLogprobs = field(default_factory=WrittenLogprobs)
    token_ids: list[int] = field(default_factory=list)
    finish_reason: FinishReason = "stop"
    prompt_logprobs: list[bytes] | None = None
    """JSON, in pieces."""

    @property
    def text(self) -> str:
        return "".join(self.pieces)

    def logprobs_json(self) -> Iterator[bytes]:
        return self.logprobs.json()


class AnswerForm(ABC):
    """How a route writes a generation: as events, or as one body."""

    @abstractmethod
    def frames(self, options: FrameOptions) -> Frames: ...

    @abstractmethod
    def whole(self, options: FrameOptions, choices: list[WholeChoice], usage: Usage) -> Iterator[bytes]:
        """The body in pieces, each made when it is needed."""


class GenerationEndpoint(Endpoint):
    """Subclasses read their requests and choose the form of the answer."""

    id_prefix: str

    async def handle(self, exchange: AsgiExchange) -> None:
        try:
            with self.state.admission.one():
                await self.answer(exchange)
        except (ApiError, EngineBusyError) as error:
            refusal = error if isinstance(error, ApiError) else self.error_of(error)
            if refusal.status in _NOT_ADMITTED:
                self.state.metrics.rejections[refusal.code or ""] += 1
            raise refusal from None

    @abstractmethod
    async def answer(self, exchange: AsgiExchange) -> None: ...

    async def read(self, exchange: AsgiExchange, model: type[_R]) -> _R:
        """The request, with the server's stop strings added to its own. Raises `ApiError`."""
        request = await self.state.bodies.request(exchange, model)
        always = self.state.settings.stop_strings
        return request.model_copy(update={"stop": [*request.stop_strings, *always]}) if always else request

    async def respond(
        self,
        exchange: AsgiExchange,
        request: GenerationRequest,
        model_name: str,
        generation: Generation,
        form: AnswerForm,
        share: ChoicesShare,
    ) -> None:
        """Answers in the requested form. In either form, the engine is freed when the client disconnects.

        `share` grows with the log probabilities of an answer that is not streamed.
        """
        wanted = request.stream_options
        include_usage = wanted is not None and bool(wanted.include_usage)
        options = FrameOptions(
            id=self.id_prefix + exchange.request_id,
            created=int(time.time()),
            model=model_name,
            prompt_tokens=generation.prompt_tokens,
            include_usage=include_usage,
            continuous_usage=include_usage and wanted is not None and bool(wanted.continuous_usage_stats),
            token_ids=bool(request.return_token_ids),
            prompts=generation.prompts if request.return_token_ids else (),
            is_plain=generation.is_plain,
        )
        if generation.runs[0].params.prompt_logprobs is not None:
            check_prompt_likelihoods(
                generation.runs, "prompt_logprobs" if request.prompt_logprobs is not None else "logprobs"
            )
        meter = RequestMeter(self.state.metrics, generation)

        async def work() -> None:
            await generation.start()
            if request.stream:
                await EventStream(exchange, form.frames(options), generation, meter, self.error_of).run()
            else:
                top_of_prompt = request.prompt_logprobs
                await self._gather(exchange, options, generation, meter, form, share, top_of_prompt=top_of_prompt)

        try:
            await exchange.while_connected(work())
        except ClientGoneError:
            raise
        except Exception:
            meter.has_failed = True
            raise
        finally:
            meter.end()
            await generation.aclose()
            self._note(options, generation, meter.elapsed_s)

    async def _gather(
        self,
        exchange: AsgiExchange,
        options: FrameOptions,
        generation: Generation,
        meter: RequestMeter,
        form: AnswerForm,
        share: ChoicesShare,
        *,
        top_of_prompt: int | None,
    ) -> None:
        choices: list[WholeChoice] = []
        while (left := generation.num_choices - len(choices)) > 0:
            choices += [WholeChoice() for _ in range(min(left, _CHOICES_A_TURN))]
            if left > _CHOICES_A_TURN:
                await asyncio.sleep(0)
        likelihoods_each = 1 + (generation.runs[0].params.logprobs or 0)
        likelihoods = counted = 0
        while not generation.is_finished:
            deltas = await generation.next_batch()
            meter.batch(deltas)
            for delta in deltas:
                choice = choices[delta.index]
                choice.token_ids += delta.token_ids
                choice.pieces.append(delta.text)
                if delta.logprobs is not None:
                    choice.logprobs.add(delta.logprobs)
                    likelihoods += len(delta.token_ids) * likelihoods_each
                    check_answer_likelihoods(likelihoods)
                if delta.finish_reason is not None:
                    choice.finish_reason = delta.finish_reason
            if likelihoods - counted >= _LIKELIHOODS_A_CHOICE:
                share.grow((likelihoods - counted) // _LIKELIHOODS_A_CHOICE)
                counted = likelihoods
        if top_of_prompt is not None:
            await self._add_prompts(choices, generation, top_of_prompt)
        meter.end()
        usage = Usage(
            prompt_tokens=generation.prompt_tokens,
            completion_tokens=generation.completion_tokens,
            total_tokens=generation.prompt_tokens + generation.completion_tokens,
        )
        body = bytearray()
        is_long = len(choices) > 1 or likelihoods > _FEW_LIKELIHOODS or top_of_prompt is not None
        for piece in form.whole(options, choices, usage):
            body += piece
            if is_long:
                await asyncio.sleep(0)
        await exchange.send_json(200, bytes(body))

    async def _add_prompts(self, choices: list[WholeChoice], generation: Generation, top: int) -> None:
        """The choices of a prompt share its log probabilities. Other requests run between the pieces."""
        written: dict[int, list[bytes]] = {}
        for index, choice in enumerate(choices):
            number = generation.prompt_number(index)
            if number not in written:
                positions = generation.prompt_logprobs(index) or ()
                written[number] = []
                for start in range(0, len(positions), _POSITIONS_A_TURN):
                    piece = positions[start : start + _POSITIONS_A_TURN]
                    token_bytes = self.state.engine.token_bytes
                    written[number].append(prompt_logprobs_json(piece, token_bytes, top, is_first=not start))
                    await asyncio.sleep(0)
            choice.prompt_logprobs = written[number]

    def _note(self, options: FrameOptions, generation: Generation, elapsed_s: float) -> None:
        if generation.is_finished:
            self.state.throughput.add(generation.prompt_tokens, generation.completion_tokens)
        if self.state.settings.log_requests:
            _log.info(
                "%s model=%s prompt_tokens=%d completion_tokens=%d elapsed_s=%.3f %s",
                options.id,
                options.model,
                generation.prompt_tokens,
                generation.completion_tokens,
                elapsed_s,
                "finished" if generation.is_finished else "aborted",
            )
