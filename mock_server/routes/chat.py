"""POST /v1/chat/completions."""

from ..conversation import chat_options, chat_turns
from ..errors import bad_request
from ..exchange import Exchange
from ..frames import ChatFrames, FrameOptions
from ..generation import Generation, PromptRun, TextOptions
from ..generation_endpoint import GenerationEndpoint, WholeChoice
from ..logprobs import ChatLogprobsWriter
from ..requests import ChatRequest
from ..responses import ChatChoice, ChatCompletion, ChatMessage, Usage
from ..sampling import chat_params, check_stream_options
from ..unsupported import refuse_unsupported


class ChatCompletions(GenerationEndpoint):
    id_prefix = "chatcmpl-"
    frames = ChatFrames

    async def answer(self, exchange: Exchange) -> None:
        request = await self.read(exchange, ChatRequest)
        target = self.state.models.resolve(request.model)
        if not self.state.models.is_chat:
            raise bad_request(
                f"{target.name} is a base model and has no chat template: send a prompt to /v1/completions instead",
                param="messages",
                code="no_chat_template",
            )
        engine = self.state.engine
        refuse_unsupported(request, engine.info)
        check_stream_options(request)
        turns = chat_turns(request.messages, default_system=self.state.settings.system)
        token_ids = await engine.render_chat(turns, chat_options(request))
        params = chat_params(request, engine.info, len(token_ids))
        writer = None if params.logprobs is None else ChatLogprobsWriter(engine.token_bytes, params.logprobs)
        generation = Generation(
            engine,
            [PromptRun(token_ids, params)],
            request_id=self.id_prefix + exchange.request_id,
            adapter=target.adapter,
            text=TextOptions(request.stop_strings, writer),
        )
        await self.respond(exchange, request, target.name, generation)

    def whole_response(self, options: FrameOptions, choices: list[WholeChoice], usage: Usage) -> bytes:
        return ChatCompletion(
            id=options.id,
            object="chat.completion",
            created=options.created,
            model=options.model,
            choices=[
                ChatChoice(
                    index=index,
                    message=ChatMessage(role="assistant", content=choice.text, refusal=None),
                    logprobs=ChatLogprobsWriter.join(choice.logprobs) if choice.logprobs else None,
                    finish_reason=choice.finish_reason,
                )
                for index, choice in enumerate(choices)
            ],
            usage=usage,
            **({} if choices[0].prompt_logprobs is None else {"prompt_logprobs": choices[0].prompt_logprobs}),
        ).json_bytes()
