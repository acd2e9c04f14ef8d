"""The key, and what was asked, are in no repr and in no error."""

from __future__ import annotations

import pickle
import traceback

import pytest

from sdk import AsyncInferenceClient, ConfigError, InferenceClient, RetryPolicy, SDKError
from sdk.transport.fake import FakeAnswer, FakeTransport
from tests.unit.sdk.api import CHAT

KEY, TEXT = "sk-very-secret", "a private question"


def test_no_repr_has_them() -> None:
    transport = FakeTransport(lambda _: FakeAnswer(200, [CHAT]))
    client = InferenceClient("http://fake", api_key=KEY, headers={"X-Key": KEY}, transport=transport)
    client.chat("m", TEXT)
    held = [client, AsyncInferenceClient("http://fake", api_key=KEY), client._caller.endpoint, *transport.requests]
    for each in held:
        assert KEY not in repr(each)
        assert TEXT not in repr(each)
    assert ("Authorization", f"Bearer {KEY}") in transport.requests[0].headers


def test_no_error_has_them() -> None:
    transport = FakeTransport(lambda _: FakeAnswer(401, [b'{"error":{"message":"who are you"}}']))
    client = InferenceClient("http://fake", api_key=KEY, transport=transport, retries=RetryPolicy(0))
    with pytest.raises(SDKError) as caught:
        client.chat("m", TEXT)
    told = "".join(traceback.format_exception(caught.value)) + repr(vars(caught.value)) + repr(caught.value)
    assert KEY not in told
    assert TEXT not in told
    assert KEY.encode() not in pickle.dumps(caught.value)


def test_a_key_that_no_header_may_have_is_refused_without_being_quoted() -> None:
    with pytest.raises(ConfigError, match="'Authorization'") as caught:
        InferenceClient("http://127.0.0.1:9", api_key=f"{KEY}\n").models()
    assert KEY not in str(caught.value)
