"""POST /v1/chat/completions."""

from ..conversation import chat_turns
from ..errors import bad_request
from ..exchange import Exchange
from ..frames import ChatFrames, FrameOptions
from ..generation import Generation, PromptRun
from ..generation_endpoint import GenerationEndpoint, WholeChoice
from ..requests import ChatRequest
from ..responses import ChatChoice, ChatCompletion, ChatMessage, Usage
from ..sampling import check_stream_options, generation_params
from ..unsupported import refuse_unsupported
from ..validation import parse


class ChatCompletions(GenerationEndpoint):
    id_prefix = "chatcmpl-"
    frames = ChatFrames

    async def handle(self, exchange: Exchange) -> None:
        request = parse(ChatRequest, await exchange.read_json(self.state.settings.max_body_bytes))
        target = self.state.models.resolve(request.model)
        if not self.state.settings.is_chat:
            raise bad_request(
                f"{target.name} is a base model and has no chat template: send a prompt to /v1/completions instead",
                param="messages",
                code="no_chat_template",
            )
        refuse_unsupported(request)
        check_stream_options(request)
        token_ids = await self._prompt(request)
        max_tokens = request.max_completion_tokens
        params = generation_params(
            request,
            self.state.engine.info,
            num_prompt_tokens=len(token_ids),
            max_tokens=request.max_tokens if max_tokens is None else max_tokens,
            prompt_field="messages",
        )
        generation = Generation(
            self.state.engine,
            [PromptRun(token_ids, params)],
            request_id=self.id_prefix + exchange.request_id,
            adapter=target.adapter,
            stop_strings=request.stop_strings,
        )
        await self.respond(exchange, request, target.name, generation)

    async def _prompt(self, request: ChatRequest) -> list[int]:
        if request.continue_final_message and request.add_generation_prompt:
            raise bad_request(
                "continue_final_message and add_generation_prompt cannot both be true",
                param="continue_final_message",
            )
        return await self.state.engine.render_chat(
            chat_turns(request.messages),
            add_generation_prompt=request.add_generation_prompt is not False,
            continue_final=bool(request.continue_final_message),
        )

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
                    logprobs=None,
                    finish_reason=choice.finish_reason,
                )
                for index, choice in enumerate(choices)
            ],
            usage=usage,
        ).json_bytes()
