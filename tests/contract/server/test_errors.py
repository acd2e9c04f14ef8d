from __future__ import annotations

import gzip
from collections.abc import Callable

import httpx
import pytest

from mock_server.settings import ServerSettings
from tests.contract.server.wire import CHAT, COMPLETIONS, QUESTION, error_of, refused
from tests.support.serving import Serving


@pytest.mark.parametrize("path", [CHAT, COMPLETIONS, "/tokenize", "/detokenize"])
@pytest.mark.parametrize("body", ["", "{", "[1]", "3", '"x"', "null", '{"model": 3}'])
def test_a_bad_body_is_a_400_and_never_a_422(http: httpx.Client, path: str, body: str) -> None:
    response = http.post(path, content=body, headers={"content-type": "application/json"})
    error = error_of(response, 400)
    assert error["type"] == "invalid_request_error"
    assert error["message"]


@pytest.mark.parametrize("media_type", ["text/plain", "application/x-www-form-urlencoded", "multipart/form-data"])
def test_another_content_type_is_refused(http: httpx.Client, media_type: str) -> None:
    response = http.post(CHAT, content=b"{}", headers={"content-type": media_type})
    assert media_type in error_of(response, 400)["message"]


def test_a_charset_does_no_harm(http: httpx.Client) -> None:
    headers = {"content-type": "Application/JSON; charset=utf-8"}
    assert error_of(http.post(CHAT, content=b"{}", headers=headers), 400)["param"] == "messages"


@pytest.mark.parametrize("path", [CHAT, COMPLETIONS, "/tokenize", "/detokenize", "/v1/load_lora_adapter"])
@pytest.mark.parametrize(
    ("encodings", "named"),
    [
        (["gzip"], "gzip"),
        (["GZIP"], "GZIP"),
        (["deflate"], "deflate"),
        (["br"], "br"),
        (["zstd"], "zstd"),
        (["no-such"], "no-such"),
        (["identity, gzip"], "gzip"),
        (["deflate, gzip"], "deflate, gzip"),
        (["gzip", "identity"], "gzip"),
    ],
)
def test_a_compressed_body_is_refused_by_its_encoding(
    http: httpx.Client, path: str, encodings: list[str], named: str
) -> None:
    headers = [("content-type", "application/json"), *(("content-encoding", encoding) for encoding in encodings)]
    response = http.post(path, content=gzip.compress(b"{}"), headers=headers)
    error = error_of(response, 415)
    assert error["code"] == "unsupported_encoding"
    assert f"the content encoding '{named}'" in error["message"]
    assert response.headers["accept-encoding"] == "identity"
    assert http.get("/ready").status_code == 200  # on the same connection


@pytest.mark.parametrize("encodings", [["identity"], [""], ["Identity, identity"], ["identity", "identity"]])
def test_a_body_that_is_not_encoded_is_read(http: httpx.Client, encodings: list[str]) -> None:
    headers = [("content-type", "application/json"), *(("content-encoding", encoding) for encoding in encodings)]
    assert http.post("/tokenize", content=b'{"prompt": "a"}', headers=headers).status_code == 200


@pytest.mark.parametrize("stream", [False, True])
@pytest.mark.parametrize(
    ("path", "body", "param"),
    [
        (CHAT, {"messages": QUESTION, "temperature": 3}, "temperature"),
        (CHAT, {"messages": QUESTION, "max_tokens": 40_000}, "max_tokens"),
        (CHAT, {"messages": QUESTION, "min_tokens": 5, "max_tokens": 4}, "min_tokens"),
        (CHAT, {"messages": QUESTION, "stop_token_ids": [10**9]}, "stop_token_ids"),
        (CHAT, {"messages": QUESTION, "tools": [{"type": "function"}]}, "tools.0.function"),
        (CHAT, {"messages": []}, "messages"),
        (CHAT, {"messages": QUESTION, "continue_final_message": True, "add_generation_prompt": True},
         "continue_final_message"),
        (COMPLETIONS, {"prompt": ""}, "prompt"),
        (COMPLETIONS, {"prompt": ["a", ""]}, "prompt"),
        (COMPLETIONS, {"prompt": [10**9]}, "prompt"),
        (COMPLETIONS, {"prompt": "word " * 40_000}, "prompt"),
        (COMPLETIONS, {"prompt": "a", "suffix": "b"}, "suffix"),
        (COMPLETIONS, {"prompt": "a", "structured_outputs": {}}, "structured_outputs"),
        (CHAT, {"messages": QUESTION, "top_logprobs": 1}, "top_logprobs"),
    ],
)  # fmt: skip
def test_invalid_streaming_requests_are_refused_with_a_status(
    http: httpx.Client, path: str, body: dict[str, object], param: str, stream: bool
) -> None:
    error = refused(http, path, {**body, "stream": stream})
    assert error["param"] == param
    assert error["message"]


@pytest.mark.parametrize(("method", "path", "status"), [("GET", "/nowhere", 404), ("DELETE", "/v1/models", 405)])
def test_refusals_by_the_router_have_a_request_id(http: httpx.Client, method: str, path: str, status: int) -> None:
    response = http.request(method, path, headers={"x-request-id": "mine"})
    assert error_of(response, status)["type"] == "invalid_request_error"
    assert response.headers["x-request-id"] == "mine"


def test_stream_options_require_a_stream(http: httpx.Client) -> None:
    body = {"messages": QUESTION, "stream_options": {"include_usage": True}}
    assert refused(http, CHAT, body)["param"] == "stream_options"
    assert refused(http, CHAT, {**body, "stream": False})["param"] == "stream_options"


@pytest.mark.parametrize("path", [CHAT, COMPLETIONS, "/tokenize"])
def test_an_unknown_model_is_a_404_with_the_served_names(http: httpx.Client, path: str) -> None:
    body = {"messages": QUESTION} if path != COMPLETIONS else {"prompt": "a"}
    error = refused(http, path, {"model": "my-tuner", **body}, status=404)
    assert (error["param"], error["code"]) == ("model", "model_not_found")
    assert "sim-chat, org/sim-chat, default-lora, my_tuner" in error["message"]
    assert error["message"].endswith("Did you mean my_tuner?")


def test_tokenize_requires_either_a_prompt_or_messages(http: httpx.Client) -> None:
    assert refused(http, "/tokenize", {})["param"] == "prompt"
    assert refused(http, "/tokenize", {"prompt": "a", "messages": QUESTION})["param"] == "prompt"
    assert refused(http, "/detokenize", {"tokens": [10**9]})["param"] == "tokens"
    assert refused(http, "/detokenize", {"tokens": [-1]})["param"] == "tokens.0"


def test_a_body_that_is_too_large_is_refused(started: Callable[[ServerSettings], Serving]) -> None:
    small = started(ServerSettings(max_body_bytes=1000))
    response = httpx.post(f"{small.url}/completions", json={"prompt": "x" * 2000})
    assert error_of(response, 413)["code"] == "request_too_large"
    assert httpx.post(f"{small.url}/completions", json={"prompt": "x" * 200}).status_code == 200


@pytest.mark.parametrize(
    ("headers", "says"),
    [
        ({}, "No API key was given"),
        ({"authorization": "Bearer wrong"}, "not valid"),
        ({"authorization": "Bearer"}, "not valid"),
        ({"authorization": "Basic key-one"}, "must be 'Bearer KEY'"),
    ],
)
@pytest.mark.parametrize("path", ["/v1/models", CHAT, "/tokenize"])
def test_every_route_of_the_api_requires_a_valid_key(
    guarded_server: Serving, path: str, headers: dict[str, str], says: str
) -> None:
    method = "GET" if path == "/v1/models" else "POST"
    response = httpx.request(method, guarded_server.root + path, headers=headers)
    error = error_of(response, 401)
    assert error["code"] == "invalid_api_key"
    assert says in error["message"]
    assert response.headers["www-authenticate"] == "Bearer"


@pytest.mark.parametrize("key", ["key-one", "key-two"])
def test_every_key_is_accepted_and_health_requires_none(guarded_server: Serving, key: str) -> None:
    models = httpx.get(f"{guarded_server.url}/models", headers={"authorization": f"Bearer {key}"})
    assert models.status_code == 200
    assert httpx.get(f"{guarded_server.root}/health").status_code == 200
    assert httpx.get(f"{guarded_server.root}/version").status_code == 200
