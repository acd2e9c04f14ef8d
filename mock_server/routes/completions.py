"""POST /v1/completions: continues a text, token ids, or a list of either."""

from __future__ import annotations

import asyncio
from codecs import getincrementaldecoder
from collections.abc import Iterator
from itertools import accumulate
from typing import Any

from mock_server.admission import ChoicesShare
from mock_server.answer.bodies import Completion, CompletionChoice, Usage, in_pieces
from mock_server.answer.frames import CompletionFrames, FrameOptions
from mock_server.answer.generation import Echo, Generation, PromptRun, TextOptions
from mock_server.answer.logprobs import CompletionLogprobsWriter
from mock_server.engine.base import GenerationParams
from mock_server.http.exchange import AsgiExchange
from mock_server.limits.request_cost import check_prompts, check_request, in_choices
from mock_server.models.registry import Target
from mock_server.request.bodies import CompletionRequest
from mock_server.request.sampling import (
    check_stream_options,
    check_token_ids,
    completion_logprobs,
    completion_params,
    truncated,
)
from mock_server.request.unsupported import refuse_unsupported
from mock_server.routes.generation_endpoint import AnswerForm, GenerationEndpoint, WholeChoice


class CompletionForm(AnswerForm):
    def frames(self, options: FrameOptions) -> CompletionFrames:
        return CompletionFrames(options)

    def whole(self, options: FrameOptions, choices: list[WholeChoice], usage: Usage) -> Iterator[bytes]:
        frame = Completion(
            id=options.id,
            object="text_completion",
            created=options.created,
            model=options.model,
            choices=[],
            usage=usage,
        )
        written = (self._choice(options, index, choice) for index, choice in enumerate(choices))
        return in_pieces(frame, written, choices)

    @staticmethod
    def _choice(options: FrameOptions, index: int, choice: WholeChoice) -> CompletionChoice:
        extra: dict[str, Any] = {}
        if options.token_ids:
            extra |= {"token_ids": choice.token_ids, "prompt_token_ids": list(options.prompts[index])}
        if choice.prompt_logprobs is not None:
            extra["prompt_logprobs"] = []
        return CompletionChoice(
            index=index,
            text=choice.text,
            logprobs=None,
            finish_reason=choice.finish_reason,
            **extra,
        )


class Completions(GenerationEndpoint):
    id_prefix = "cmpl-"

    async def answer(self, exchange: AsgiExchange) -> None:
        request = await self.read(exchange, CompletionRequest)
        target = self.state.models.resolve(request.model)
        refuse_unsupported(request, self.state.engine.info)
        check_stream_options(request)
        choices = check_request(request, self.state.settings.limits)
        with self.state.admission.choices(in_choices(choices, exchange.body_bytes)) as share:
            runs = await self._runs(request)
            repeated = check_prompts(request, runs, self.state.settings.limits)
            if repeated:
                share.resize(in_choices(choices, exchange.body_bytes + repeated))
            await self._generate(exchange, request, target, runs, share)

    async def _generate(
        self,
        exchange: AsgiExchange,
        request: CompletionRequest,
        target: Target,
        runs: list[PromptRun],
        share: ChoicesShare,
    ) -> None:
        top = completion_logprobs(request)
        writer = None if top is None else CompletionLogprobsWriter(self.state.engine.token_bytes, top)
        generation = Generation(
            self.state.engine,
            runs,
            request_id=self.id_prefix + exchange.request_id,
            adapter=target.adapter,
            text=TextOptions(request.stop_strings, writer),
        )
        await self.respond(exchange, request, target.name, generation, CompletionForm(), share)

    async def _runs(self, request: CompletionRequest) -> list[PromptRun]:
        prompts = _prompts(request)
        runs: list[PromptRun] = []
        for prompt in prompts:
            runs.append(await self._run(request, prompt, runs[0].params if runs else None))
            if len(prompts) > 1:
                await asyncio.sleep(0)
        return runs

    async def _run(
        self, request: CompletionRequest, prompt: str | list[int], like: GenerationParams | None
    ) -> PromptRun:
        engine = self.state.engine
        if isinstance(prompt, str):
            token_ids = await engine.tokenize(prompt)
        else:
            token_ids = prompt
            check_token_ids(token_ids, engine.info.vocab_size, "prompt")
        if request.truncate_prompt_tokens is not None:
            token_ids = prompt = truncated(request, token_ids, engine.info)
        params = completion_params(request, engine.info, len(token_ids), like)
        echo = await self._echo(prompt, token_ids, params) if request.echo else None
        return PromptRun(token_ids, params, echo)

    async def _echo(self, prompt: str | list[int], token_ids: list[int], params: GenerationParams) -> Echo:
        engine = self.state.engine
        text = prompt if isinstance(prompt, str) else await engine.detokenize(token_ids)
        if params.logprobs is None:
            return Echo(text)
        if isinstance(prompt, str):
            detokenizer = engine.detokenizer(())
            lengths = [len(detokenizer.push((token_id,))) for token_id in token_ids]
        else:  # the text includes special tokens
            decoder = getincrementaldecoder("utf-8")("replace")
            lengths = [len(decoder.decode(engine.token_bytes(token_id))) for token_id in token_ids]
        return Echo(text, [0, *accumulate(lengths[:-1])])


def _prompts(request: CompletionRequest) -> list[str] | list[list[int]]:
    """The prompts of a request, whichever of the four forms it uses."""
    prompt = request.prompt
    if isinstance(prompt, str):
        return [prompt]
    if isinstance(prompt[0], int):
        return [prompt]
    return prompt
