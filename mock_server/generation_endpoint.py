"""What chat and completions have in common: run the generation, then stream its events or gather its answer."""

import logging
import time
from abc import abstractmethod
from dataclasses import dataclass, field

from .endpoint import Endpoint, api_error
from .engine.base import EngineError, FinishReason
from .errors import server_failed
from .exchange import Exchange
from .frames import FrameOptions, Frames, error_event
from .generation import Generation
from .requests import GenerationRequest
from .responses import Usage

_log = logging.getLogger(__name__)


@dataclass(slots=True)
class WholeChoice:
    """A choice as it is gathered."""

    pieces: list[str] = field(default_factory=list)
    finish_reason: FinishReason = "stop"

    @property
    def text(self) -> str:
        return "".join(self.pieces)


class GenerationEndpoint(Endpoint):
    """Subclasses give the route's id prefix, its frames, and its response as a whole."""

    id_prefix: str
    frames: type[Frames]

    @abstractmethod
    def whole_response(self, options: FrameOptions, choices: list[WholeChoice], usage: Usage) -> bytes: ...

    async def respond(
        self, exchange: Exchange, request: GenerationRequest, model_name: str, generation: Generation
    ) -> None:
        """Answers in the form asked for; the engine is freed when the client leaves, in either form."""
        wanted = request.stream_options
        include_usage = wanted is not None and bool(wanted.include_usage)
        options = FrameOptions(
            id=self.id_prefix + exchange.request_id,
            created=int(time.time()),
            model=model_name,
            prompt_tokens=generation.prompt_tokens,
            include_usage=include_usage,
            continuous_usage=include_usage and wanted is not None and bool(wanted.continuous_usage_stats),
        )
        began = time.perf_counter()
        try:
            async with exchange.watching():
                await generation.start()
                if request.stream:
                    await self._stream(exchange, self.frames(options), generation)
                else:
                    await self._gather(exchange, options, generation)
        finally:
            await generation.aclose()
            self._note(options, generation, time.perf_counter() - began)

    async def _stream(self, exchange: Exchange, frames: Frames, generation: Generation) -> None:
        """One write for each batch that was ready; never two deltas in one event."""
        await exchange.start_events()
        try:
            finished = False
            while not finished:
                deltas = await generation.next_batch()
                finished = generation.is_finished
                events = "".join([frames.delta(delta) for delta in deltas])
                if finished:
                    events += frames.closing(generation.completion_tokens)
                await exchange.send_events(events, last=finished)
        except EngineError as exc:
            await exchange.send_events(error_event(api_error(exc).body()), last=True)
        except Exception:
            await exchange.send_events(error_event(server_failed().body()), last=True)
            raise

    async def _gather(self, exchange: Exchange, options: FrameOptions, generation: Generation) -> None:
        choices = [WholeChoice() for _ in range(generation.num_choices)]
        while not generation.is_finished:
            for index, text, finish_reason, _ in await generation.next_batch():
                choices[index].pieces.append(text)
                if finish_reason is not None:
                    choices[index].finish_reason = finish_reason
        usage = Usage(
            prompt_tokens=generation.prompt_tokens,
            completion_tokens=generation.completion_tokens,
            total_tokens=generation.prompt_tokens + generation.completion_tokens,
        )
        await exchange.send_json(200, self.whole_response(options, choices, usage))

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
