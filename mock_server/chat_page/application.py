"""The page as an application: Gradio's, with headers that keep the browser from asking any other host."""

from __future__ import annotations

import os
from collections.abc import Sequence

from fastapi import FastAPI
from starlette.responses import RedirectResponse
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from mock_server.chat_page.backend import Backend
from mock_server.http.callers import HostCheck, OriginCheck
from mock_server.http.response_tally import ResponseTally
from mock_server.telemetry.metrics import ServerMetrics

_HEADERS = {
    # An answer can contain an image URL on another host. Loading it would reveal the conversation to that host.
    "content-security-policy": "; ".join(
        (
            "default-src 'self' data: blob:",
            "script-src 'self' 'unsafe-inline' 'unsafe-eval' blob:",
            "style-src 'self' 'unsafe-inline'",
            "form-action 'self'",
            "frame-ancestors 'self'",
            "base-uri 'self'",
            "object-src 'none'",
        )
    ),
    "referrer-policy": "no-referrer",
    "x-content-type-options": "nosniff",
}


def make_page(backend: Backend, *, root_path: str, allowed_hosts: Sequence[str]) -> ASGIApp:
    """Takes seconds: Gradio is imported. `allowed_hosts` are names of this machine besides loopback names."""
    os.environ["GRADIO_ANALYTICS_ENABLED"] = "False"  # read when Gradio is imported
    import gradio as gr

    from mock_server.chat_page.layout import I18N
    from mock_server.chat_page.look import head, style, theme
    from mock_server.chat_page.wiring import build

    app = gr.mount_gradio_app(
        FastAPI(openapi_url=None),
        build(backend),
        path="/",
        root_path=root_path or None,
        footer_links=[],
        show_error=False,
        max_file_size=0,
        ssr_mode=False,
        pwa=False,
        mcp_server=False,
        enable_monitoring=False,
        run_history=False,
        i18n=I18N,
        theme=theme(),
        css=style(),
        head=head(),
    )
    tally = ResponseTally(ServerMetrics(), ())
    return HostCheck(OriginCheck(_Gate(app, root_path), (), tally), allowed_hosts, tally)


class _Gate:
    """Adds `_HEADERS` to each response, and takes the prefix off the paths of proxies that keep it."""

    def __init__(self, app: ASGIApp, root_path: str) -> None:
        self._app = app
        self._root_path = root_path
        self._headers = [(name.encode(), value.encode()) for name, value in _HEADERS.items()]

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        async def send_with_headers(message: Message) -> None:
            if message["type"] == "http.response.start":
                message = {**message, "headers": [*message["headers"], *self._headers]}
            await send(message)

        if scope["type"] != "http":
            await self._app(scope, receive, send)
            return
        if self._root_path and scope["path"] == self._root_path:  # the page's own addresses are relative
            await RedirectResponse(f"{self._root_path}/")(scope, receive, send)
            return
        if self._root_path and scope["path"].startswith(f"{self._root_path}/"):
            scope = {**scope, "path": scope["path"].removeprefix(self._root_path)}
        await self._app(scope, receive, send_with_headers)
