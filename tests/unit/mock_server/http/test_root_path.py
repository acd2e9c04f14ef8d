"""A prefix under which a proxy serves the server: requests work with and without it."""

from __future__ import annotations

from collections.abc import Iterator

import httpx
import pytest

from mock_server.http.root_path import checked_root_path
from mock_server.settings import ServerSettings
from tests.contract.server.wire import CHAT, QUESTION, error_of
from tests.support.serving import Serving, serving

ASKED = {"messages": QUESTION, "max_tokens": 3, "seed": 1}


@pytest.fixture(scope="module")
def served() -> Iterator[Serving]:
    with serving(settings=ServerSettings(root_path="/llm/a", api_keys=("key",))) as server:
        yield server


@pytest.fixture(scope="module")
def http(served: Serving) -> Iterator[httpx.Client]:
    with httpx.Client(base_url=served.root, headers={"authorization": "Bearer key"}) as client:
        yield client


@pytest.mark.parametrize("prefix", ["", "/llm/a"])
@pytest.mark.parametrize("stream", [False, True])
def test_a_proxy_may_strip_the_prefix_or_keep_it(http: httpx.Client, prefix: str, stream: bool) -> None:
    answer = http.post(prefix + CHAT, json={**ASKED, "stream": stream})
    assert answer.status_code == 200
    assert answer.headers["content-type"].startswith("text/event-stream" if stream else "application/json")
    assert http.get(f"{prefix}/v1/models").json()["data"][0]["id"] == "sim-chat"
    assert http.get(f"{prefix}/v1/models/sim-chat").json()["id"] == "sim-chat"
    assert http.get(f"{prefix}/health").status_code == 200


@pytest.mark.parametrize("path", ["/v1/models", "/llm/a/v1/models", "/llm/a/tokenize", f"/llm/a{CHAT}"])
def test_the_prefix_does_not_bypass_the_key(served: Serving, path: str) -> None:
    method = "GET" if path.endswith("models") else "POST"
    assert error_of(httpx.request(method, served.root + path), 401)["code"] == "invalid_api_key"


@pytest.mark.parametrize("path", ["/llm/v1/models", "/llm/ab/v1/models", "/llm/a/llm/a/v1/models", "/llm/a"])
def test_another_prefix_is_not_found(http: httpx.Client, path: str) -> None:
    assert error_of(http.get(path), 404)


def test_the_servers_own_description_has_the_prefix(http: httpx.Client) -> None:
    assert http.get("/openapi.json").json()["servers"] == [{"url": "/llm/a"}]


def test_requests_are_counted_under_the_servers_own_names(http: httpx.Client) -> None:
    http.get("/llm/a/ready")
    assert 'handler="/ready",method="GET",status="200"' in http.get("/metrics").text


@pytest.mark.parametrize(
    ("text", "path"), [("", ""), ("/", ""), ("/llm", "/llm"), ("/llm/", "/llm"), ("/a/b_c-1.2", "/a/b_c-1.2")]
)
def test_a_prefix_ends_without_a_slash(text: str, path: str) -> None:
    assert checked_root_path(text) == path


@pytest.mark.parametrize(
    "text", ["llm", "http://x/llm", "/a//b", "/a b", "/a?b", "/a#b", "/é", "/a%20", "/v1", "/health/"]
)
def test_an_invalid_prefix_is_refused(text: str) -> None:
    with pytest.raises(ValueError, match="--root-path"):
        checked_root_path(text)
