"""Call self-hosted language models: `inference_client`, the functions like it, and the clients they use.

Each name is imported on first use, so that a program pays only for the parts it needs.
"""

from __future__ import annotations

from importlib import import_module
from typing import TYPE_CHECKING

from streamgauge.version import __version__ as __version__

if TYPE_CHECKING:
    from sdk.async_client import AsyncInferenceClient
    from sdk.chunks import ChatCompletionStreamResponse, CompletionStreamResponse
    from sdk.client import AnyStream as AnyStream
    from sdk.client import InferenceClient
    from sdk.config import RequestFields as RequestFields
    from sdk.config import XRequestConfig
    from sdk.deadline import Timeouts
    from sdk.errors import (
        AnswerTooLargeError,
        AuthenticationError,
        BadRequestError,
        ConfigError,
        ConnectError,
        ConnectionLostError,
        ConnectTimeoutError,
        FirstByteTimeoutError,
        ModelNotFoundError,
        NotFoundError,
        PermissionDeniedError,
        PoolTimeoutError,
        ProtocolError,
        RateLimitError,
        RequestTimeoutError,
        SDKError,
        ServerError,
        ServiceUnavailableError,
        StallTimeoutError,
        StatusError,
        StreamError,
        StreamServerError,
        StreamTruncatedError,
        TLSError,
        TotalTimeoutError,
        TransportError,
    )
    from sdk.functions import (
        get_model_list_client,
        get_model_list_client_async,
        inference_client,
        inference_client_async,
    )
    from sdk.local import (
        GenerationConfig,
        LocalEngine,
        LoRARequest,
        ModelType,
        RowsFailedError,
        get_default_template_type,
        get_template,
        get_vllm_engine,
        inference_stream_vllm,
        inference_vllm,
    )
    from sdk.retry import RetryPolicy
    from sdk.stream import AsyncStream, Stream
    from sdk.streamed_answer import StreamedAnswer
    from sdk.types import (
        ChatCompletionResponse,
        CompletionResponse,
        Model,
        ModelList,
        UsageInfo,
    )
    from sdk.types import (
        Query as Query,
    )
    from sdk.types import (
        ToolChoice as ToolChoice,
    )

__all__ = [
    "AnswerTooLargeError",
    "AsyncInferenceClient",
    "AsyncStream",
    "AuthenticationError",
    "BadRequestError",
    "ChatCompletionResponse",
    "ChatCompletionStreamResponse",
    "CompletionResponse",
    "CompletionStreamResponse",
    "ConfigError",
    "ConnectError",
    "ConnectTimeoutError",
    "ConnectionLostError",
    "FirstByteTimeoutError",
    "GenerationConfig",
    "InferenceClient",
    "LoRARequest",
    "LocalEngine",
    "Model",
    "ModelList",
    "ModelNotFoundError",
    "ModelType",
    "NotFoundError",
    "PermissionDeniedError",
    "PoolTimeoutError",
    "ProtocolError",
    "RateLimitError",
    "RequestTimeoutError",
    "RetryPolicy",
    "RowsFailedError",
    "SDKError",
    "ServerError",
    "ServiceUnavailableError",
    "StallTimeoutError",
    "StatusError",
    "Stream",
    "StreamError",
    "StreamServerError",
    "StreamTruncatedError",
    "StreamedAnswer",
    "TLSError",
    "Timeouts",
    "TotalTimeoutError",
    "TransportError",
    "UsageInfo",
    "XRequestConfig",
    "get_default_template_type",
    "get_model_list_client",
    "get_model_list_client_async",
    "get_template",
    "get_vllm_engine",
    "inference_client",
    "inference_client_async",
    "inference_stream_vllm",
    "inference_vllm",
]

_HOMES = {
    "sdk.async_client": ("AsyncInferenceClient",),
    "sdk.chunks": ("ChatCompletionStreamResponse", "CompletionStreamResponse"),
    "sdk.client": ("InferenceClient",),
    "sdk.config": ("XRequestConfig",),
    "sdk.deadline": ("Timeouts",),
    "sdk.errors": (
        "AnswerTooLargeError",
        "AuthenticationError",
        "BadRequestError",
        "ConfigError",
        "ConnectError",
        "ConnectionLostError",
        "ConnectTimeoutError",
        "FirstByteTimeoutError",
        "ModelNotFoundError",
        "NotFoundError",
        "PermissionDeniedError",
        "PoolTimeoutError",
        "ProtocolError",
        "RateLimitError",
        "RequestTimeoutError",
        "SDKError",
        "ServerError",
        "ServiceUnavailableError",
        "StallTimeoutError",
        "StatusError",
        "StreamError",
        "StreamServerError",
        "StreamTruncatedError",
        "TLSError",
        "TotalTimeoutError",
        "TransportError",
    ),
    "sdk.functions": (
        "get_model_list_client",
        "get_model_list_client_async",
        "inference_client",
        "inference_client_async",
    ),
    "sdk.local": (
        "GenerationConfig",
        "LoRARequest",
        "LocalEngine",
        "ModelType",
        "RowsFailedError",
        "get_default_template_type",
        "get_template",
        "get_vllm_engine",
        "inference_stream_vllm",
        "inference_vllm",
    ),
    "sdk.retry": ("RetryPolicy",),
    "sdk.stream": (
        "AsyncStream",
        "Stream",
    ),
    "sdk.streamed_answer": ("StreamedAnswer",),
    "sdk.types": ("ChatCompletionResponse", "CompletionResponse", "Model", "ModelList", "UsageInfo"),
}
# Names that only annotations use. They are loaded when something reads these, as `typing.get_type_hints` does.
_ANNOTATIONS = {"sdk.client": ("AnyStream",), "sdk.config": ("RequestFields",), "sdk.types": ("Query", "ToolChoice")}
_HOME_OF = {name: home for homes in (_HOMES, _ANNOTATIONS) for home, names in homes.items() for name in names}


def __getattr__(name: str) -> object:
    if name not in _HOME_OF:
        raise AttributeError(f"module 'sdk' has no attribute {name!r}")
    value = globals()[name] = getattr(import_module(_HOME_OF[name]), name)
    return value


def __dir__() -> list[str]:
    return sorted({*globals(), *__all__})
