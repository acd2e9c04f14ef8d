"""Images in a chat: a simulated model that accepts images counts them as tokens; other models refuse them."""

from __future__ import annotations

import base64
from collections.abc import Callable, Iterator
from typing import Any

import httpx
import openai
import pytest

from mock_server.engine.base import Engine
from tests.contract.server.wire import CHAT, answer, chat, chat_events, refused
from tests.support.serving import Serving, scripted_engine, serving, simulated_engine

IMAGE_TOKENS = 100
DATA_URL = f"data:image/png;base64,{base64.b64encode(b'not looked at').decode()}"
IMAGE = {"type": "image_url", "image_url": {"url": DATA_URL}}


def asked(*parts: dict[str, Any]) -> list[dict[str, Any]]:
    return [{"role": "user", "content": [*parts, {"type": "text", "text": "What is this?"}]}]


@pytest.fixture(scope="module", params=[simulated_engine, scripted_engine])
def seeing(request: pytest.FixtureRequest) -> Iterator[Serving]:
    make: Callable[..., Engine] = request.param
    with serving(make(image_tokens=IMAGE_TOKENS)) as served:
        yield served


@pytest.fixture(scope="module")
def sees(seeing: Serving) -> Iterator[httpx.Client]:
    with httpx.Client(base_url=seeing.root, timeout=60) as http:
        yield http


def test_the_card_says_whether_the_model_accepts_images(sees: httpx.Client, http: httpx.Client) -> None:
    assert sees.get("/v1/models").json()["data"][0]["is_multimodal"] is True
    assert {card["is_multimodal"] for card in http.get("/v1/models").json()["data"]} == {False}


@pytest.mark.parametrize("images", [1, 3])
def test_an_image_counts_as_its_tokens(sees: httpx.Client, images: int) -> None:
    bare = chat(sees, messages=asked(), max_tokens=5)["usage"]["prompt_tokens"]
    with_images = chat(sees, messages=asked(*[IMAGE] * images), max_tokens=5)
    assert with_images["usage"]["prompt_tokens"] == bare + images * IMAGE_TOKENS
    assert with_images["choices"][0]["message"]["content"]
    counted = answer(sees, "/tokenize", {"messages": asked(*[IMAGE] * images)})
    assert counted["count"] == with_images["usage"]["prompt_tokens"]
    text = answer(sees, "/detokenize", {"tokens": counted["tokens"]})["prompt"]
    assert text.count("<|image|>") == images * IMAGE_TOKENS


def test_a_stream_over_an_image_has_the_same_text(sees: httpx.Client) -> None:
    body = {"messages": asked(IMAGE), "temperature": 0, "max_tokens": 12}
    whole = chat(sees, **body)["choices"][0]["message"]["content"]
    assert "".join(event["choices"][0]["delta"].get("content", "") for event in chat_events(sees, **body)) == whole


def test_images_take_room_of_the_context(sees: httpx.Client) -> None:
    error = refused(sees, CHAT, {"messages": asked(*[IMAGE] * 400)})
    assert error["code"] == "context_length_exceeded"


def test_the_openai_package_sends_them(seeing: Serving) -> None:
    with openai.OpenAI(base_url=seeing.url, api_key="EMPTY") as client:
        completion = client.chat.completions.create(
            model="sim-chat",
            messages=[
                {
                    "role": "user",
                    "content": [
                        {"type": "text", "text": "What is this?"},
                        {"type": "image_url", "image_url": {"url": DATA_URL, "detail": "low"}},
                    ],
                }
            ],
        )
    assert completion.usage is not None
    assert completion.usage.prompt_tokens > IMAGE_TOKENS


def test_audio_is_refused_by_a_model_that_accepts_images(sees: httpx.Client) -> None:
    sound = {"type": "input_audio", "input_audio": {"data": "AAAA", "format": "wav"}}
    error = refused(sees, CHAT, {"messages": asked(sound)})
    assert error["param"] == "messages.0.content.0.type"
    assert "reads text and images only" in error["message"]


def test_a_model_that_reads_text_refuses_an_image(http: httpx.Client) -> None:
    error = refused(http, CHAT, {"messages": asked(IMAGE)})
    assert error["param"] == "messages.0.content.0.type"
    assert "reads text only" in error["message"]
