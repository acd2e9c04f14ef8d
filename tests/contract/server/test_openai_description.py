"""OpenAI's own description of its API, from the `llm-comply` package: every answer and event fits it."""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path
from typing import Any

import httpx
import jsonschema
import llm_comply
import pytest
from referencing import Registry, Resource
from referencing.jsonschema import DRAFT202012

from tests.contract.server.conftest import Facts
from tests.contract.server.test_tools import NAMED, TOOLS
from tests.contract.server.wire import CHAT, COMPLETIONS, QUESTION, chat, chat_events, complete, completion_events
from tests.support.serving import server_process

Spec = dict[str, Any]


def read_nullable(node: Any) -> Any:
    """OpenAPI 3.0's `nullable` in JSON Schema's words."""
    if isinstance(node, list):
        return [read_nullable(item) for item in node]
    if not isinstance(node, dict):
        return node
    plain = {key: read_nullable(value) for key, value in node.items() if key != "nullable"}
    return {"anyOf": [plain, {"type": "null"}]} if node.get("nullable") is True else plain


@pytest.fixture(scope="module")
def spec() -> Spec:
    text = (Path(llm_comply.__file__).parent / "specs" / "openai_chat.json").read_text()
    described: Spec = read_nullable(json.loads(text))
    return described


@pytest.fixture(scope="module")
def fits(spec: Spec) -> Any:
    registry: Registry[Any] = Registry().with_resource("openai:", Resource(spec, DRAFT202012))

    def check(answer: Any, name: str) -> None:
        schema = {"$ref": f"openai:#/components/schemas/{name}"}
        jsonschema.Draft202012Validator(schema, registry=registry).validate(answer)

    return check


VARIANTS: dict[str, dict[str, Any]] = {
    "plain": {},
    "choices": {"n": 2},
    "usage": {"stream_options": {"include_usage": True}},
    "running usage": {"stream_options": {"include_usage": True, "continuous_usage_stats": True}},
    "tokens": {"return_token_ids": True},
    "stopped": {"stop": ["e"]},
}
CHAT_VARIANTS = {
    **VARIANTS,
    "log probabilities": {"logprobs": True, "top_logprobs": 2},
    "named call": {"tools": TOOLS, "tool_choice": NAMED, "max_tokens": 60},
    "calls": {"tools": TOOLS, "tool_choice": "required", "max_tokens": 60},
}
COMPLETION_VARIANTS = {
    **VARIANTS,
    "log probabilities": {"logprobs": 2},
    "prompts": {"prompt": ["one", "two"], "n": 2, "echo": True},
}


def whole(body: dict[str, Any]) -> dict[str, Any]:
    return {name: value for name, value in body.items() if name != "stream_options"}


@pytest.mark.parametrize("body", CHAT_VARIANTS.values(), ids=CHAT_VARIANTS)
def test_chat_answers_and_events_fit_the_description(http: httpx.Client, fits: Any, body: dict[str, Any]) -> None:
    body = {"max_tokens": 8, **body}
    fits(chat(http, **whole(body)), "CreateChatCompletionResponse")
    for chunk in chat_events(http, **body):
        fits(chunk, "CreateChatCompletionStreamResponse")


@pytest.mark.parametrize("body", COMPLETION_VARIANTS.values(), ids=COMPLETION_VARIANTS)
def test_completions(http: httpx.Client, fits: Any, body: dict[str, Any]) -> None:
    body = {"max_tokens": 8, **body}
    fits(complete(http, **whole(body)), "CreateCompletionResponse")
    for chunk in completion_events(http, **body):
        # A chunk of a completion is described by the whole answer, whose finish reason is never null; a chunk's is.
        choices = [choice | {"finish_reason": choice["finish_reason"] or "stop"} for choice in chunk["choices"]]
        fits({name: value for name, value in chunk.items() if value is not None} | {"choices": choices},
             "CreateCompletionResponse")  # fmt: skip


def test_thoughts_and_calls_of_the_models_own(http: httpx.Client, facts: Facts, fits: Any) -> None:
    if not facts.makes_sense:
        pytest.skip("a model that thinks and calls in a known form is needed")
    for body in ({"reasoning_effort": "low"}, {"tools": TOOLS}):
        fits(chat(http, **body), "CreateChatCompletionResponse")
        for chunk in chat_events(http, **body):
            fits(chunk, "CreateChatCompletionStreamResponse")


def test_models_and_refusals(http: httpx.Client, fits: Any) -> None:
    fits(http.get("/v1/models").json(), "ListModelsResponse")
    fits(http.get("/v1/models/my_tuner").json(), "Model")
    for path, body in (
        (CHAT, {"messages": QUESTION, "temperature": 3}),
        (CHAT, {"messages": QUESTION, "model": "other"}),
        (COMPLETIONS, {}),
        ("/v1/nothing", {}),
    ):
        fits(http.post(path, json=body).json(), "ErrorResponse")


def test_all_chat_cases_of_llm_comply_pass() -> None:
    name = "gpt-5-of-a-kind"  # or the case about reasoning is skipped
    program = "import sys; from llm_comply.cli import main; sys.exit(main())"
    with server_process(
        "--profile", "instant", "--image-tokens", "576", "--require-model", "--served-model-name", name
    ) as server:
        options = ["-u", server.url, "-k", "EMPTY", "-m", name, "--format", "openai-chat", "--json"]
        command = [sys.executable, "-c", program, *options]
        result = subprocess.run(command, capture_output=True, text=True, timeout=60, check=False)
    cases = json.loads(result.stdout)["results"]
    assert len(cases) == 9
    assert {case["status"] for case in cases} == {"passed"}, result.stdout
