"""The base of every route: an ASGI callable that handles an exchange and turns failures into responses."""

from __future__ import annotations

import logging
from abc import ABC, abstractmethod

from starlette.types import Receive, Scope, Send

from mock_server.engine.errors import (
    AdapterError,
    AdapterNotFoundError,
    EngineBusyError,
    EngineDeadError,
    EngineError,
    PromptTooLongError,
    RequestRefusedError,
)
from mock_server.errors import (
    ApiError,
    bad_request,
    cut_off,
    engine_busy,
    engine_failed,
    engine_unavailable,
    server_failed,
)
from mock_server.http.exchange import AsgiExchange, ClientGoneError
from mock_server.http.response_tally import mark_counted
from mock_server.logs.output import current_request
from mock_server.state import ServerState

_CLIENT_LEFT = 499  # nginx's status, for the log and the metrics; the client no longer reads it
_log = logging.getLogger(__name__)


class Endpoint(ABC):
    """Subclasses answer. What they raise becomes a response unless one has already begun."""

    def __init__(self, state: ServerState, path: str) -> None:
        """`path` as the route declares it: the endpoint's name in the metrics."""
        self.state = state
        self.path = path

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        exchange = AsgiExchange(scope, receive, send, lambda status: self._count(scope, status))
        current_request.set(exchange.request_id)
        try:
            await self._answer(exchange)
        except ClientGoneError:
            exchange.status = _CLIENT_LEFT
            _log.debug("request %s: the client disconnected", exchange.request_id)
        finally:
            exchange.end()

    def _count(self, scope: Scope, status: int) -> None:
        self.state.metrics.responses[scope["method"], self.path, status] += 1
        mark_counted(scope)

    async def _answer(self, exchange: AsgiExchange) -> None:
        try:
            await self.handle(exchange)
        except ApiError as error:
            await exchange.send_error(error)
        except EngineError as error:
            await exchange.send_error(self.error_of(error))
        except ClientGoneError:
            raise
        except Exception:
            if not exchange.has_begun:
                await exchange.send_error(server_failed())
            raise

    def error_of(self, error: EngineError) -> ApiError:
        """An engine's failure as the client sees it. If the server stopped the engine, the cause is the shutdown."""
        if isinstance(error, EngineDeadError) and self.state.admission.is_cut_off:
            return cut_off()
        return api_error(error)

    @abstractmethod
    async def handle(self, exchange: AsgiExchange) -> None: ...


def api_error(error: EngineError) -> ApiError:
    """An engine's failure as the client sees it while the server keeps running."""
    match error:
        case PromptTooLongError():
            return bad_request(str(error), param=error.field, code="context_length_exceeded")
        case RequestRefusedError():
            return bad_request(str(error), param=error.field)
        case AdapterNotFoundError():
            return ApiError(404, _public(error), param="lora_path", code="adapter_not_found")
        case AdapterError():
            return bad_request(_public(error), param="lora_path", code="adapter_refused")
        case EngineBusyError():
            return engine_busy(str(error))
        case EngineDeadError():
            return engine_unavailable(str(error))
        case _:
            return engine_failed(str(error))


def _public(error: AdapterError) -> str:
    """The part of the message that callers may see. The log gets the whole message."""
    if error.public != str(error):
        _log.warning("%s", error)
    return error.public
