"""POST /v1/load_lora_adapter and /v1/unload_lora_adapter, in vLLM's form: load and unload adapters at run time."""

from __future__ import annotations

from mock_server.engine.base import Adapter
from mock_server.errors import ApiError
from mock_server.http.exchange import AsgiExchange
from mock_server.request.bodies import LoadAdapterRequest, UnloadAdapterRequest
from mock_server.routes.endpoint import Endpoint


class LoadAdapter(Endpoint):
    async def handle(self, exchange: AsgiExchange) -> None:
        self._refuse_unless_allowed()
        request = await self.state.bodies.request(exchange, LoadAdapterRequest)
        adapter = Adapter(request.lora_name, request.lora_path)
        await self.state.models.load(adapter, in_place=request.load_inplace)
        await exchange.send_text(f"Success: LoRA adapter '{adapter.name}' added successfully.")

    def _refuse_unless_allowed(self) -> None:
        if not self.state.settings.runtime_adapters:
            raise ApiError(
                403,
                "Adapters cannot be loaded over the API: to allow it, start the server with --runtime-lora true",
                code="adapters_are_fixed",
            )


class UnloadAdapter(LoadAdapter):
    async def handle(self, exchange: AsgiExchange) -> None:
        self._refuse_unless_allowed()
        request = await self.state.bodies.request(exchange, UnloadAdapterRequest)
        await self.state.models.unload(request.lora_name)
        await exchange.send_text(f"Success: LoRA adapter '{request.lora_name}' removed successfully.")
