from __future__ import annotations

import re
from pathlib import Path
from typing import Any

import click
import pytest

from mock_server.commands.arguments import OptionsCommand
from mock_server.commands.model_access import OwnModel, RunningServer, access_options, reach, read_access
from mock_server.commands.wrong_use import WrongUseError
from mock_server.embedded.endpoint import Endpoint
from mock_server.engine.base import Adapter
from sdk import InferenceClient
from streamgauge.option_sections import CONTEXT
from tests.support.checkpoints import write_adapter, write_base

URL = "http://127.0.0.1:9/v1"


@click.command(cls=OptionsCommand, context_settings=CONTEXT)
@access_options
def command(**options: Any) -> None: ...


def access(*args: str) -> RunningServer | OwnModel:
    return read_access(command.make_context("talk", list(args)))


def refusal(*args: str) -> str:
    with pytest.raises(WrongUseError) as caught:
        access(*args)
    return caught.value.format_message()


@pytest.fixture(autouse=True)
def _no_server_in_the_environment(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("OPENAI_BASE_URL", raising=False)


def test_a_model_must_be_named_in_one_of_the_ways() -> None:
    assert refusal() == (
        "there is no model to talk to: name one with --model-type, --model-id-or-path or --ckpt-dir, a running server"
        " with --base-url, or simulate one with --engine sim"
    )
    assert "--engine native is a server of its own" in refusal("--model", "org/x", "--engine", "native")


def test_a_running_server_gets_what_a_request_can_carry() -> None:
    found = access(
        *("--base_url", URL, "--model", "tuned", "--temperature", "0.5", "--max_new_tokens", "9", "--seed", "3"),
        *("--stop-words", "a", "b", "--system", "be brief", "--api-key", "k"),
    )
    fields = {"temperature": 0.5, "max_tokens": 9, "seed": 3, "stop": ("a", "b")}
    assert found == RunningServer(URL, "k", "tuned", "be brief", fields)
    assert access("--base-url", URL, "--do_sample", "false") == RunningServer(URL, None, None, None, {"temperature": 0})


@pytest.mark.parametrize(
    ("args", "told"),
    [
        (("--ckpt-dir", "x"), "--ckpt-dir has no effect on the running server of --base-url: leave one out"),
        (("--engine", "sim"), "--engine has no effect"),
        (("--tensor_parallel_size", "2"), "--tensor-parallel-size has no effect"),
        (("--lora_modules", "a=b"), "--lora-modules has no effect"),
        (("--no-chat",), "--no-chat has no effect"),
        (("--model", "a", "--served-model", "b"), "--model-id-or-path a and --served-model b differ"),
    ],
)
def test_a_running_server_and_a_model_of_its_own_contradict_each_other(args: tuple[str, ...], told: str) -> None:
    assert told in refusal("--base-url", URL, *args)


def test_the_environments_server_is_used_if_no_model_is_named(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("OPENAI_BASE_URL", URL)
    assert access("--temperature", "0") == RunningServer(None, None, None, None, {"temperature": 0.0})
    assert isinstance(access("--engine", "sim"), OwnModel)
    assert "--api-key needs --base-url" in refusal("--engine", "sim", "--api-key", "k")


def test_an_adapter_given_as_checkpoint_answers_unless_another_is_wanted(tmp_path: Path) -> None:
    base = write_base(tmp_path / "base")
    adapter = write_adapter(tmp_path / "checkpoint-5", base=str(base))
    found = access("--ckpt_dir", str(adapter), "--lora-modules", f"my_tuner={adapter}")
    assert isinstance(found, OwnModel)
    assert found.model == "default-lora"
    assert found.deployment.settings.adapters == (
        Adapter("my_tuner", str(adapter)),
        Adapter("default-lora", str(adapter)),
    )
    named = access("--ckpt_dir", str(adapter), "--served-model", "base")
    assert isinstance(named, OwnModel)
    assert named.model == "base"
    assert re.search(
        r"not served; there are: base, default-lora\. Did you mean base\?",
        refusal("--ckpt_dir", str(adapter), "--served-model", "bass"),
    )


def test_a_model_in_this_process_is_an_endpoint_like_any_other() -> None:
    with reach(access("--engine", "sim", "--system", "be brief", "--lora-modules", "tuned")) as endpoint:
        assert (endpoint.model, endpoint.system) == ("sim-chat", "be brief")
        endpoint.check()
        with InferenceClient(endpoint.base_url, api_key=endpoint.api_key) as client:
            assert [card.id for card in client.models().data] == ["sim-chat", "tuned"]


def test_what_cannot_be_served_is_one_line(tmp_path: Path) -> None:
    options = ("--engine", "vllm", "--model", str(write_base(tmp_path / "base")), "--max_model_len", "2")
    found = access(*options)
    with pytest.raises(click.ClickException) as caught, reach(found):
        pass
    assert "\n" not in caught.value.format_message()


def test_a_running_server_is_passed_on() -> None:
    with reach(RunningServer(URL, "k", "m", None, {"seed": 1})) as endpoint:
        assert endpoint == Endpoint(URL, "k", "m", None, {"seed": 1}, endpoint.check)
