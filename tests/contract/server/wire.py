"""Raw requests to the API, and its answers as JSON and server-sent events."""

from __future__ import annotations

import json
import socket
from collections.abc import Iterator
from typing import Any

import httpx

CHAT = "/v1/chat/completions"
COMPLETIONS = "/v1/completions"
QUESTION = [{"role": "user", "content": "where is the capital of Zhejiang?"}]


def chat(http: httpx.Client, **body: Any) -> dict[str, Any]:
    return answer(http, CHAT, {"messages": QUESTION, **body})


def complete(http: httpx.Client, **body: Any) -> dict[str, Any]:
    return answer(http, COMPLETIONS, {"prompt": "Once upon a time", **body})


def answer(http: httpx.Client, path: str, body: Any) -> dict[str, Any]:
    response = http.post(path, json=body)
    assert response.status_code == 200, response.text
    assert response.headers["content-type"] == "application/json"
    whole: dict[str, Any] = response.json()
    return whole


def events(http: httpx.Client, path: str, body: dict[str, Any]) -> list[dict[str, Any]]:
    """The events of a stream, which must end with [DONE]."""
    response = http.post(path, json={**body, "stream": True})
    assert response.status_code == 200, response.text
    assert response.headers["content-type"] == "text/event-stream; charset=utf-8"
    *frames, rest = response.text.split("\n\n")
    assert rest == ""
    assert all(frame.startswith("data: ") for frame in frames)
    assert frames[-1] == "data: [DONE]"
    return [json.loads(frame[6:]) for frame in frames[:-1]]


def chat_events(http: httpx.Client, **body: Any) -> list[dict[str, Any]]:
    return events(http, CHAT, {"messages": QUESTION, **body})


def completion_events(http: httpx.Client, **body: Any) -> list[dict[str, Any]]:
    return events(http, COMPLETIONS, {"prompt": "Once upon a time", **body})


def texts(chunks: list[dict[str, Any]]) -> dict[int, str]:
    """Each choice's text, gathered from its chunks."""
    gathered: dict[int, str] = {}
    for chunk in chunks:
        for choice in chunk["choices"]:
            text = choice["delta"].get("content", "") if "delta" in choice else choice["text"]
            gathered[choice["index"]] = gathered.get(choice["index"], "") + text
    return gathered


def refused(http: httpx.Client, path: str, body: Any, status: int = 400) -> dict[str, Any]:
    """The error object of a refusal."""
    response = http.post(path, json=body)
    return error_of(response, status)


def error_of(response: httpx.Response, status: int) -> dict[str, Any]:
    assert response.status_code == status, response.text
    error: dict[str, Any] = response.json()["error"]
    assert set(error) == {"message", "type", "param", "code"}
    return error


def recount(http: httpx.Client, text: str) -> int:
    """How many tokens the server's own tokenizer makes of a text."""
    return int(answer(http, "/tokenize", {"prompt": text})["count"])


def post(root: str, body: dict[str, Any]) -> socket.socket:
    """A connection to the server at `root` on which a chat request has been sent."""
    host, _, port = root.removeprefix("http://").partition(":")
    connection = socket.create_connection((host, int(port)))
    payload = json.dumps(body).encode()
    head = (
        f"POST {CHAT} HTTP/1.1\r\nhost: localhost\r\ncontent-type: application/json\r\ncontent-length: {len(payload)}"
    )
    connection.sendall(head.encode() + b"\r\n\r\n" + payload)
    return connection


def wait_until_running(http: httpx.Client, count: int) -> None:
    for engine in _states(http):
        if engine["running"] >= count:
            return
    raise AssertionError("the engine never ran that many")


def wait_until_idle(http: httpx.Client) -> dict[str, Any]:
    """Asks for the engine's counters until nothing runs or waits; the requests pace themselves."""
    for engine in _states(http):
        if not engine["running"] and not engine["waiting"]:
            return engine
    raise AssertionError("the engine is still busy")


def _states(http: httpx.Client) -> Iterator[dict[str, Any]]:
    """The engine's counters, over and over.

    Each request has a connection of its own: between two of them a loaded machine may pause for longer than a server
    keeps an idle connection open.
    """
    for _ in range(20_000):
        engine: dict[str, Any] = http.get("/health", headers={"connection": "close"}).json()["engine"]
        yield engine
