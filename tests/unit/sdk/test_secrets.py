"""No repr and no error shows the key or the prompt."""

from __future__ import annotations

import pickle
import traceback

import pytest

from sdk import AsyncInferenceClient, ConfigError, InferenceClient, RetryPolicy, SDKError, XRequestConfig
from sdk.transport.fake import FakeAnswer, FakeTransport
from tests.unit.sdk.api import CHAT

KEY, TEXT = "sk-very-secret", "a private question"


def test_no_repr_shows_the_key_or_the_prompt() -> None:
    transport = FakeTransport(lambda _: FakeAnswer(200, [CHAT]))
    client = InferenceClient("http://fake", api_key=KEY, headers={"X-Key": KEY}, transport=transport)
    client.chat("m", TEXT)
    held = [client, AsyncInferenceClient("http://fake", api_key=KEY), client._caller.endpoint, *transport.requests]
    for each in held:
        assert KEY not in repr(each)
        assert TEXT not in repr(each)
    assert ("Authorization", f"Bearer {KEY}") in transport.requests[0].headers


def test_no_error_shows_the_key_or_the_prompt() -> None:
    transport = FakeTransport(lambda _: FakeAnswer(401, [b'{"error":{"message":"who are you"}}']))
    client = InferenceClient("http://fake", api_key=KEY, transport=transport, retries=RetryPolicy(0))
    with pytest.raises(SDKError) as caught:
        client.chat("m", TEXT)
    told = "".join(traceback.format_exception(caught.value)) + repr(vars(caught.value)) + repr(caught.value)
    assert KEY not in told
    assert TEXT not in told
    assert KEY.encode() not in pickle.dumps(caught.value)


def test_a_key_with_an_invalid_character_is_refused_without_quoting_it() -> None:
    with pytest.raises(ConfigError, match="'Authorization'") as caught:
        InferenceClient("http://127.0.0.1:9", api_key=f"{KEY}\n").models()
    assert KEY not in str(caught.value)


def test_no_repr_of_a_config_shows_the_value_of_a_header() -> None:
    config: XRequestConfig[bool] = XRequestConfig(extra_headers={"x-api-key": KEY})
    assert KEY not in repr(config) + str(config)
    assert "x-api-key" in repr(config)
    assert config.extra_headers == {"x-api-key": KEY}
    assert pickle.loads(pickle.dumps(config)).extra_headers == {"x-api-key": KEY}


@pytest.mark.parametrize("value", [b"\xff" + KEY.encode(), [KEY], {"a": KEY}])
def test_a_header_of_the_wrong_type_is_refused_without_quoting_it(value: object) -> None:
    with pytest.raises(ConfigError, match="extra_headers") as caught:
        XRequestConfig(extra_headers={"x-api-key": value})  # type: ignore[dict-item]
    assert KEY not in str(caught.value) + repr(caught.value)


def test_headers_that_are_not_a_mapping_are_refused_without_quoting_them() -> None:
    with pytest.raises(ConfigError, match="headers") as caught:
        InferenceClient("http://h", headers=[f"x-api-key: {KEY}"])  # type: ignore[arg-type]
    assert KEY not in str(caught.value)


@pytest.mark.parametrize(
    "url",
    [
        f"http://me:{KEY}@h:99999",
        f"http://{KEY}@h:0",
        f"ftp://me:{KEY}@h",
        f"http://me:{KEY}@h",
        f"http://me:{KEY}@[::1",
        f"me:{KEY}@h:99999",
        f"http://me:a/{KEY}@h:99999",
        f"http://h/v1?api_key={KEY}",
        f"http://h/v1?{KEY}",
        f"http://h/v1#{KEY}",
    ],
)
def test_a_refused_address_is_quoted_without_its_key(url: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("OPENAI_BASE_URL", url)
    for given in (url, None):
        with pytest.raises(ConfigError) as caught:
            InferenceClient(given)
        shown = "".join(traceback.format_exception(caught.value)) + repr(vars(caught.value))
        assert KEY not in shown.replace(url, "")
        assert KEY not in str(caught.value) + str(caught.value.__context__)
