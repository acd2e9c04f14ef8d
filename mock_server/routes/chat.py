"""POST /v1/chat/completions."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass
from typing import Any

from mock_server.admission import ChoicesShare
from mock_server.answer.bodies import ChatChoice, ChatCompletion, Usage, in_pieces
from mock_server.answer.frames import ChatFrames, FrameOptions
from mock_server.answer.generation import Generation, PromptRun, TextOptions
from mock_server.answer.logprobs import ChatLogprobsWriter
from mock_server.answer.message_frames import MessageFrames
from mock_server.answer.message_reader import MessageReader
from mock_server.answer.whole_message import whole_message
from mock_server.engine.base import ChatOptions, asks_to_think
from mock_server.errors import ApiError, bad_request
from mock_server.http.exchange import AsgiExchange
from mock_server.limits.request_cost import check_prompts, check_request, in_choices
from mock_server.models.registry import Target
from mock_server.request.bodies import ChatRequest
from mock_server.request.conversation import chat_options, chat_turns
from mock_server.request.sampling import chat_params, check_stream_options, truncated
from mock_server.request.tools import ToolUse, message_reader, tool_use
from mock_server.request.unsupported import refuse_unsupported
from mock_server.routes.generation_endpoint import AnswerForm, GenerationEndpoint, WholeChoice


@dataclass(frozen=True, slots=True)
class ChatForm(AnswerForm):
    """`new_reader` makes a reader that separates thoughts and calls from content; None: all text is content."""

    new_reader: Callable[[], MessageReader] | None
    ends_with_calls: bool

    def frames(self, options: FrameOptions) -> ChatFrames:
        if self.new_reader is None:
            return ChatFrames(options)
        return MessageFrames(options, self.new_reader, ends_with_calls=self.ends_with_calls)

    def whole(self, options: FrameOptions, choices: list[WholeChoice], usage: Usage) -> Iterator[bytes]:
        extra: dict[str, Any] = {}
        if choices[0].prompt_logprobs is not None:
            extra["prompt_logprobs"] = []
        if options.token_ids:
            extra["prompt_token_ids"] = list(options.prompts[0])
        frame = ChatCompletion(
            id=options.id,
            object="chat.completion",
            created=options.created,
            model=options.model,
            choices=[],
            usage=usage,
            **extra,
        )
        written = (self._choice(options, index, choice) for index, choice in enumerate(choices))
        return in_pieces(frame, written, choices)

    def _choice(self, options: FrameOptions, index: int, choice: WholeChoice) -> ChatChoice:
        message = whole_message(choice.text, self.new_reader() if self.new_reader is not None else None)
        has_called = self.ends_with_calls and bool(message.tool_calls) and choice.finish_reason == "stop"
        return ChatChoice(
            index=index,
            message=message,
            logprobs=None,
            finish_reason="tool_calls" if has_called else choice.finish_reason,
            **({"token_ids": choice.token_ids} if options.token_ids else {}),
        )


class ChatCompletions(GenerationEndpoint):
    id_prefix = "chatcmpl-"

    async def answer(self, exchange: AsgiExchange) -> None:
        request = await self.read(exchange, ChatRequest)
        target = self.state.models.resolve(request.model)
        if not self.state.models.is_chat:
            raise _no_chat(target, self.state.settings.model_names[0])
        engine, settings = self.state.engine, self.state.settings
        refuse_unsupported(request, engine.info)
        check_stream_options(request)
        choices = check_request(request, settings.limits)
        tool_format = engine.info.tool_format if settings.tool_format is None else settings.tool_format
        with self.state.admission.choices(in_choices(choices, exchange.body_bytes)) as share:
            use = tool_use(request, tool_format or None)
            options = chat_options(request, use.offered)
            run = await self._run(request, options, use)
            repeated = check_prompts(request, [run], settings.limits)
            if repeated:
                share.resize(in_choices(choices, exchange.body_bytes + repeated))
            await self._generate(exchange, request, target, run, self._form(request, options, use), share)

    async def _run(self, request: ChatRequest, options: ChatOptions, use: ToolUse) -> PromptRun:
        engine = self.state.engine
        sees_images = engine.info.image_tokens is not None
        default = self.state.settings.system
        turns = await chat_turns(request.messages, default_system=default, sees_images=sees_images)
        token_ids = truncated(request, await engine.render_chat(turns, options), engine.info)
        return PromptRun(token_ids, chat_params(request, engine.info, len(token_ids), use.constraint))

    def _form(self, request: ChatRequest, options: ChatOptions, use: ToolUse) -> ChatForm:
        reasoning_format = self.state.settings.reasoning_format
        if reasoning_format is None and asks_to_think(options):
            reasoning_format = self.state.engine.info.reasoning_format
        new_reader = message_reader(use, reasoning_format, shown=request.include_reasoning is not False)
        return ChatForm(new_reader, use.ends_with_calls)

    async def _generate(
        self,
        exchange: AsgiExchange,
        request: ChatRequest,
        target: Target,
        run: PromptRun,
        form: ChatForm,
        share: ChoicesShare,
    ) -> None:
        engine, top = self.state.engine, run.params.logprobs
        writer = None if top is None else ChatLogprobsWriter(engine.token_bytes, top)
        generation = Generation(
            engine,
            [run],
            request_id=self.id_prefix + exchange.request_id,
            adapter=target.adapter,
            text=TextOptions(request.stop_strings, writer),
        )
        await self.respond(exchange, request, target.name, generation, form, share)


def _no_chat(target: Target, base: str) -> ApiError:
    what = target.name if target.adapter is None else f"{target.name} is an adapter of {base}, which"
    return bad_request(
        f"{what} is a base model and has no chat template: send a prompt to /v1/completions instead",
        param="messages",
        code="no_chat_template",
    )
