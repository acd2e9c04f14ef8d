"""Small requests for huge answers, and many of them together: refused, or served without harm to other clients."""

from __future__ import annotations

import http.client
import json
import re
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from typing import Any

import httpx
import pytest

from tests.hostile.conftest import Watch
from tests.support.hostile_check import ADDRESS_SPACE, post
from tests.support.hostile_requests import CHAT, COMPLETIONS, DETOKENIZE, TOKENIZE, Request
from tests.support.serving import ServerProcess, server_process

MANY = ["a"] * 4_096
LONG = [300] * 32_000
JSON = {"content-type": "application/json"}
WAITING = re.compile(r"^vllm:num_requests_waiting\{.*\} (\S+)$", re.MULTILINE)


def completion(**fields: Any) -> Request:
    return COMPLETIONS, json.dumps({"prompt": "a", "max_tokens": 1, **fields}).encode()


def sent(server: ServerProcess, request: Request) -> http.client.HTTPConnection:
    """A connection on which the answer to a request will come."""
    connection = http.client.HTTPConnection(server.root.removeprefix("http://"), timeout=50)
    connection.request("POST", *request, headers=JSON)
    return connection


def statuses(server: ServerProcess, request: Request, at_once: int) -> set[int]:
    with ThreadPoolExecutor(at_once) as threads:
        return set(threads.map(lambda _: post(server, request), range(at_once)))


@pytest.fixture(scope="module")
def instant() -> Iterator[ServerProcess]:
    with server_process("--log-interval", "0", "--profile", "instant", ulimit=ADDRESS_SPACE) as found:
        yield found


@pytest.mark.parametrize(
    "fields",
    [
        {"prompt": ["a"] * 10_000, "n": 128},
        {"prompt": LONG, "n": 128, "return_token_ids": True},
        {"prompt": "hello wor " * 12_000, "n": 128, "echo": True},
        {"prompt": [LONG] * 15, "n": 128, "echo": True, "stream": True},
        {"n": 128, "max_tokens": 32_000},
        {"n": 128, "structured_outputs": {"choice": ["a" * 1_000] * 100}},
    ],
    ids=["choices", "token ids", "echo", "streamed echo", "answers", "structures"],
)
def test_requests_for_huge_answers_are_refused_immediately(
    server: ServerProcess, watch: Watch, fields: dict[str, Any]
) -> None:
    with watch(server):
        assert statuses(server, completion(**fields), 4) == {400}


def test_many_requests_together_get_a_429(watch: Watch) -> None:
    with server_process("--log-interval", "0", "--max-choices-in-progress", "5000", ulimit=ADDRESS_SPACE) as server:
        with watch(server):
            assert statuses(server, completion(prompt=MANY), 20) == {200, 429}
        assert post(server, completion(prompt=MANY)) == 200


def test_large_bodies_count_among_the_choices_in_progress(watch: Watch) -> None:
    body = TOKENIZE, json.dumps({"prompt": "hello wor " * 100_000}).encode()
    with server_process("--log-interval", "0", "--max-choices-in-progress", "400", ulimit=ADDRESS_SPACE) as server:
        with watch(server):
            assert statuses(server, body, 8) == {200, 429}
        assert post(server, body) == 200


@pytest.mark.parametrize(
    "request_",
    [
        (TOKENIZE, json.dumps({"prompt": "a b " * 110_000, "return_token_strs": True}).encode()),
        (DETOKENIZE, json.dumps({"tokens": [8_000] * 490_000}).encode()),
    ],
    ids=["tokenize", "detokenize"],
)
def test_long_lists_of_tokens_take_little_memory(watch: Watch, request_: Request) -> None:
    with server_process("--log-interval", "0", ulimit=ADDRESS_SPACE) as server, watch(server):
        assert statuses(server, request_, 20) <= {200, 429}


LIKELY = {"messages": [{"role": "user", "content": "a"}], "logprobs": True, "top_logprobs": 20}
LIKELIHOODS: dict[str, Request] = {
    "an answer's": (CHAT, json.dumps({**LIKELY, "max_tokens": 900, "min_tokens": 900}).encode()),
    "a prompt's": completion(prompt=[300] * 2_000, prompt_logprobs=4),
}


@pytest.mark.parametrize("name", LIKELIHOODS)
def test_log_probabilities_count_among_the_choices_in_progress(watch: Watch, name: str) -> None:
    """Those of an answer while it grows: some are refused, the others may end."""
    options = ("--max-choices-in-progress", "500", "--profile", "instant", "--log-interval", "0")
    with server_process(*options, ulimit=ADDRESS_SPACE) as server:
        with watch(server):
            assert statuses(server, LIKELIHOODS[name], 8) == {200, 429}
        assert post(server, LIKELIHOODS[name]) == 200


@pytest.mark.parametrize("top", [0, 2])
def test_the_log_probabilities_of_a_prompt_are_written_in_pieces(
    instant: ServerProcess, watch: Watch, top: int
) -> None:
    path, body = completion(prompt=LONG, prompt_logprobs=top, return_token_ids=True)
    with watch(instant):
        response = httpx.post(instant.root + path, content=body, headers=JSON, timeout=60)
    (choice,) = response.json()["choices"]
    first, *others = choice["prompt_logprobs"]
    assert first is None
    assert [str(LONG[0]) in found for found in others] == [True] * (len(LONG) - 1)
    assert choice["prompt_token_ids"] == LONG


@pytest.mark.parametrize(("choices", "status"), [(110, 200), (1_000, 400)])
def test_lists_of_tokens_count_for_each_choice(server: ServerProcess, watch: Watch, choices: int, status: int) -> None:
    biases = {str(token): 1 for token in range(300, 9_000)}
    fields = {"allowed_token_ids": list(range(300, 9_000)), "logit_bias": biases}
    with watch(server):
        assert post(server, completion(prompt=MANY[:choices], **fields)) == status


@pytest.mark.parametrize("stream", [False, True])
def test_the_log_probabilities_of_a_long_prompt_are_complete(server: ServerProcess, watch: Watch, stream: bool) -> None:
    """They are written in pieces."""
    path, body = completion(prompt=LONG, echo=True, logprobs=2, stream=stream)
    with watch(server):
        response = httpx.post(server.root + path, content=body, headers=JSON, timeout=60)
    text = response.text.removeprefix("data: ").partition("\n")[0]
    (choice,) = json.loads(text)["choices"]
    found = choice["logprobs"]
    assert found["tokens"][:-1] == [found["tokens"][0]] * len(LONG)
    assert found["text_offset"][:-1] == list(range(0, len(LONG) * len(found["tokens"][0]), len(found["tokens"][0])))
    assert [value is None for value in found["token_logprobs"]] == [True] + [False] * len(LONG)
    assert [value is None for value in found["top_logprobs"]] == [True] + [False] * len(LONG)


STREAMS: dict[str, dict[str, Any]] = {
    "log probabilities": {"prompt": ["a"] * 32, "n": 128, "logprobs": 20, "max_tokens": 3, "ignore_eos": True},
    "the prompt's tokens": {"prompt": LONG, "n": 64, "return_token_ids": True},
    "words that differ in their ends": {
        "n": 100, "max_tokens": 5, "ignore_eos": True, "allowed_token_ids": [97],
        "bad_words": ["aaaaaaa" + chr(0x4E00 + number) for number in range(1_000)],
    },
}  # fmt: skip


@pytest.mark.parametrize("name", STREAMS)
def test_streams_of_many_choices_are_written_in_pieces(instant: ServerProcess, watch: Watch, name: str) -> None:
    with watch(instant):
        assert statuses(instant, completion(stream=True, **STREAMS[name]), 2) <= {200, 429}


@pytest.mark.parametrize("prompts", [4_096, 32])
def test_a_disconnect_ends_many_choices_immediately(server: ServerProcess, watch: Watch, prompts: int) -> None:
    """Some run on the engine, and most wait for it."""
    request = completion(prompt=["a"] * prompts, n=4_096 // prompts, max_tokens=30_000, ignore_eos=True, stream=True)
    with httpx.Client(base_url=server.root, timeout=60) as client, watch(server):
        connections = [sent(server, request) for _ in range(4)]
        while sum(map(float, WAITING.findall(client.get("/metrics").text))) < 3 * 4_096:
            pass
        for connection in connections:
            connection.close()
        while client.get("/load").json()["server_load"]:
            pass


@pytest.mark.parametrize(
    ("option", "path", "body"),
    [
        ("--max-choices=3", COMPLETIONS, {"prompt": ["a", "b"], "n": 2}),
        ("--max-answer-tokens=9", COMPLETIONS, {"prompt": "a", "n": 2, "max_tokens": 5}),
        ("--max-schema-size=9", COMPLETIONS, {"prompt": "a", "structured_outputs": {"regex": "abcdefghij"}}),
        ("--max-schema-size=9", CHAT, {"messages": [{"role": "user", "content": "a"}],
                                       "chat_template_kwargs": {"a": ["b"] * 9}}),
    ],
)  # fmt: skip
def test_options_set_the_limits(option: str, path: str, body: dict[str, Any]) -> None:
    with server_process("--log-interval", "0", option) as server:
        assert post(server, (path, json.dumps(body).encode())) == 400
    name = option.partition("=")[0]
    with server_process("--log-interval", "0", f"{name}=0") as server:
        assert post(server, (path, json.dumps(body).encode())) == 200
