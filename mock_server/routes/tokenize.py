"""POST /tokenize and /detokenize, in vLLM's form."""

from __future__ import annotations

import asyncio
from abc import abstractmethod
from collections.abc import Sequence

from mock_server.answer.bodies import DetokenizeResponse, TokenizeResponse
from mock_server.errors import bad_request
from mock_server.http.exchange import AsgiExchange
from mock_server.limits.request_cost import check_tokenize, in_choices
from mock_server.request.bodies import DetokenizeRequest, TokenizeRequest
from mock_server.request.conversation import chat_options, chat_turns
from mock_server.request.sampling import check_token_ids
from mock_server.routes.endpoint import Endpoint

_TOKENS_A_TURN = 256
_BYTES_AS_TOKENS = 8  # a byte of text may take this many bytes in lists and in the answer


class _Counted(Endpoint):
    """Counts against the limit of requests in progress, from the first byte of its body."""

    async def handle(self, exchange: AsgiExchange) -> None:
        with self.state.admission.one():
            await self._respond(exchange)

    @abstractmethod
    async def _respond(self, exchange: AsgiExchange) -> None: ...


class Tokenize(_Counted):
    async def _respond(self, exchange: AsgiExchange) -> None:
        request = await self.state.bodies.request(exchange, TokenizeRequest)
        self.state.models.resolve(request.model)
        check_tokenize(request, self.state.settings.limits)
        with self.state.admission.choices(in_choices(1, exchange.body_bytes * _BYTES_AS_TOKENS)):
            await self._tokenize(exchange, request)

    async def _tokenize(self, exchange: AsgiExchange, request: TokenizeRequest) -> None:
        token_ids = await self._token_ids(request)
        token_strs = None
        if request.return_token_strs:
            token_strs = await self._token_strs(token_ids)
        response = TokenizeResponse(
            count=len(token_ids),
            max_model_len=self.state.engine.info.max_model_len,
            tokens=token_ids,
            token_strs=token_strs,
        )
        await exchange.send_json(200, response.json_bytes())

    async def _token_strs(self, token_ids: Sequence[int]) -> list[str]:
        """The text of each token, looked up once for each id. Other requests run in between."""
        known: dict[int, str] = {}
        token_strs = []
        for number, token_id in enumerate(token_ids, 1):
            if token_id not in known:
                known[token_id] = await self.state.engine.detokenize([token_id])
            token_strs.append(known[token_id])
            if number % _TOKENS_A_TURN == 0:
                await asyncio.sleep(0)
        return token_strs

    async def _token_ids(self, request: TokenizeRequest) -> list[int]:
        if (request.prompt is None) == (request.messages is None):
            raise bad_request("send either prompt or messages", param="prompt")
        if request.prompt is not None:
            return await self.state.engine.tokenize(request.prompt)
        engine, system = self.state.engine, self.state.settings.system
        sees_images = engine.info.image_tokens is not None
        turns = await chat_turns(request.messages or (), default_system=system, sees_images=sees_images)
        return await engine.render_chat(
            turns, chat_options(request, [tool.model_dump(exclude_unset=True) for tool in request.tools or ()])
        )


class Detokenize(_Counted):
    async def _respond(self, exchange: AsgiExchange) -> None:
        request = await self.state.bodies.request(exchange, DetokenizeRequest)
        self.state.models.resolve(request.model)
        check_token_ids(request.tokens, self.state.engine.info.vocab_size, "tokens")
        with self.state.admission.choices(in_choices(1, exchange.body_bytes * _BYTES_AS_TOKENS)):
            response = DetokenizeResponse(prompt=await self.state.engine.detokenize(request.tokens))
            await exchange.send_json(200, response.json_bytes())
