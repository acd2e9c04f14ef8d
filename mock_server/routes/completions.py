"""POST /v1/completions: text, token ids, or several of either."""

from ..exchange import Exchange
from ..frames import CompletionFrames, FrameOptions
from ..generation import Generation, PromptRun
from ..generation_endpoint import GenerationEndpoint, WholeChoice
from ..requests import CompletionRequest
from ..responses import Completion, CompletionChoice, Usage
from ..sampling import check_stream_options, check_token_ids, generation_params
from ..unsupported import refuse_unsupported
from ..validation import parse

_DEFAULT_MAX_TOKENS = 16  # OpenAI's, for completions alone


class Completions(GenerationEndpoint):
    id_prefix = "cmpl-"
    frames = CompletionFrames

    async def handle(self, exchange: Exchange) -> None:
        request = parse(CompletionRequest, await exchange.read_json(self.state.settings.max_body_bytes))
        target = self.state.models.resolve(request.model)
        refuse_unsupported(request)
        check_stream_options(request)
        engine = self.state.engine
        runs = []
        echoes = []
        for prompt in _prompts(request):
            if isinstance(prompt, str):
                token_ids = await engine.tokenize(prompt)
            else:
                token_ids = prompt
                check_token_ids(token_ids, engine.info.vocab_size, "prompt")
            params = generation_params(
                request,
                engine.info,
                num_prompt_tokens=len(token_ids),
                max_tokens=_DEFAULT_MAX_TOKENS if request.max_tokens is None else request.max_tokens,
                prompt_field="prompt",
            )
            runs.append(PromptRun(token_ids, params))
            if request.echo:
                text = prompt if isinstance(prompt, str) else await engine.detokenize(token_ids)
                echoes += [text] * params.n
        generation = Generation(
            engine,
            runs,
            request_id=self.id_prefix + exchange.request_id,
            adapter=target.adapter,
            stop_strings=request.stop_strings,
            echoes=echoes,
        )
        await self.respond(exchange, request, target.name, generation)

    def whole_response(self, options: FrameOptions, choices: list[WholeChoice], usage: Usage) -> bytes:
        return Completion(
            id=options.id,
            object="text_completion",
            created=options.created,
            model=options.model,
            choices=[
                CompletionChoice(index=index, text=choice.text, logprobs=None, finish_reason=choice.finish_reason)
                for index, choice in enumerate(choices)
            ],
            usage=usage,
        ).json_bytes()


def _prompts(request: CompletionRequest) -> list[str] | list[list[int]]:
    """The prompt in its four forms as a list of prompts."""
    prompt = request.prompt
    if isinstance(prompt, str):
        return [prompt]
    if isinstance(prompt[0], int):
        return [prompt]
    return prompt
