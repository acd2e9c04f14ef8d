"""`--config FILE`: the options that the command gets from it, read by the command line's own parser."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import click
import pytest
import yaml
from click.core import ParameterSource
from click.testing import CliRunner
from hypothesis import given
from hypothesis import strategies as st

from mock_server.commands import cli
from mock_server.commands.deploy import deploy
from mock_server.commands.wrong_use import WrongUseError
from mock_server.engine.base import Adapter


def context(folder: Path, text: str | bytes, *args: str) -> click.Context:
    file = folder / "server.yaml"
    file.write_bytes(text if isinstance(text, bytes) else text.encode())
    return deploy.make_context("deploy", ["--config", str(file), *args])


def options(folder: Path, text: str | bytes, *args: str) -> dict[str, Any]:
    return context(folder, text, *args).params


def refusal(folder: Path, text: str | bytes, *args: str) -> str:
    with pytest.raises(WrongUseError) as caught:
        options(folder, text, *args)
    message = caught.value.format_message()
    assert message.startswith(f"--config {folder / 'server.yaml'}")
    assert "\n" not in message
    return message.removeprefix(f"--config {folder / 'server.yaml'}")


def test_values_are_what_they_are_on_the_command_line(tmp_path: Path) -> None:
    text = """
    # a server behind a proxy
    port: 9000
    host: "::"
    served_model_name: [small, big]
    api-key: one
    verbose: true
    require-model: yes
    log-interval: 2.5
    max-body-size: 1M
    shutdown_timeout: 0x10
    seed: 7
    system: 'Be brief: please.'
    stop-words:
      - END
      - "\\n\\n"
    lora-modules:
      - tuner=/a
      - {name: other, path: /b}
    """
    found = options(tmp_path, text.replace("0x10", "10"))
    expected = {
        "port": 9000, "host": "::", "served_model_name": ("small", "big"), "api_key": ("one",), "verbose": True,
        "require_model": True, "log_interval": 2.5, "max_body_size": 1024**2, "shutdown_timeout": 10.0, "seed": 7,
        "system": "Be brief: please.", "stop_words": ("END", "\n\n"),
        "lora_modules": (Adapter("tuner", "/a"), Adapter("other", "/b")),
    }  # fmt: skip
    assert {name: found[name] for name in expected} == expected
    untouched = options(tmp_path, "")
    assert {name for name in found if found[name] != untouched[name]} == expected.keys()


@pytest.mark.parametrize("text", ["", "# nothing\n", "---\n", "null", "{}", "\ufeff"])
def test_an_empty_file_changes_nothing(tmp_path: Path, text: str) -> None:
    assert options(tmp_path, text) == {
        **deploy.make_context("deploy", []).params,
        "config": str(tmp_path / "server.yaml"),
    }


def test_the_command_line_has_precedence(tmp_path: Path) -> None:
    text = "port: 1\nhost: 0.0.0.0\nserved-model-name: [a, b]\nverbose: true"
    found = options(tmp_path, text, "--port", "2", "--served-model-name", "c", "--verbose", "false")
    assert (found["port"], found["host"]) == (2, "0.0.0.0")
    assert (found["served_model_name"], found["verbose"]) == (("c",), False)


@pytest.mark.parametrize(
    ("text", "args", "name"),
    [
        ("uds: /run/s", ["--port", "1"], "uds"),
        ("uds: /run/s", ["--host", "::1"], "uds"),
        ("port: 1", ["--uds", "/run/s"], "port"),
        ("api-key: [a]", ["--api-key-file", "k"], "api_key"),
        ("api_key_file: k", ["--api_key=a"], "api_key_file"),
        ("engine: sim", ["--infer-backend", "vllm"], "engine"),
        ("template-type: qwen", ["--chat-template", "x"], "template_type"),
    ],
)
def test_the_command_line_also_replaces_contradicting_options(
    tmp_path: Path, text: str, args: list[str], name: str
) -> None:
    with_file = context(tmp_path, text, *args)
    assert with_file.get_parameter_source(name) is ParameterSource.DEFAULT
    assert with_file.params[name] == deploy.make_context("deploy", []).params[name]
    assert context(tmp_path, text).get_parameter_source(name) is ParameterSource.DEFAULT_MAP


def test_json_options_take_mappings(tmp_path: Path) -> None:
    text = (
        "model: a/b\nengine-args: {max_num_queued_reqs: 9, dtype: half}\noverride-generation-config: '{\"top_k\": 5}'"
    )
    found = options(tmp_path, text)
    assert found["engine_args"] == {"max_num_queued_reqs": 9, "dtype": "half"}
    assert found["override_generation_config"] == {"top_k": 5}


@pytest.mark.parametrize(
    ("text", "says"),
    [
        ("prot: 1", ", line 1: prot is not an option. Did you mean port?"),
        ("port: 1\nserved-model: x", ", line 2: served-model is not an option. Did you mean served-model-name?"),
        ("--port: 1", ", line 1: --port is not an option. Did you mean port?"),
        ("zzz: 1", ", line 1: zzz is not an option. See deploy --help."),
        ("config: x", ", line 1: config is only for the command line"),
        ("help: true", ", line 1: help is only for the command line"),
        ("version: true", ", line 1: version is only for the command line"),
        ("\nport: 70000", ", line 2: port: 70000 is not in the range 0<=x<=65535."),
        ("port: http", ", line 1: port: 'http' is not a valid integer."),
        ("port: [1, 2]", ", line 1: port takes one value, not a list"),
        ("port: {a: 1}", ", line 1: port must not contain a mapping: options are not nested"),
        ("port:", ", line 1: port has no value: give it one, or remove the line"),
        ("port: ~", ", line 1: port has no value: give it one, or remove the line"),
        ("server: {port: 1}", ", line 1: server is not an option."),
        ("verbose: perhaps", ", line 1: verbose: must be true or false (got 'perhaps')"),
        ("verbose: [true]", ", line 1: verbose takes one value, not a list"),
        ("host: ''", ", line 1: host: must not be empty"),
        ("served-model-name: [a, [b]]", ", line 1: served-model-name must not contain a list"),
        ("served-model-name: {a: b}", ", line 1: served-model-name must not contain a mapping"),
        ("lora-modules: [{name: 3}]", ", line 1: lora-modules: "),
        ("log-format: xml", ", line 1: log-format: 'xml' is not one of 'text', 'json'."),
        ("engine-args: {when: 2020-01-01}", ", line 1: engine-args must be a valid JSON object: "),
        ("engine-args: &a {b: *a}", ", line 1: engine-args must be a valid JSON object: "),
        ("port: 1\nport: 2", ", line 2: port and port on line 1 are the same option"),
        ("log_interval: 1\nlog-interval: 2", ", line 2: log-interval and log_interval on line 1 are the same option"),
        ("model: a\nmodel-id-or-path: b", ", line 2: model-id-or-path and model on line 1 are the same option"),
        ("? [a]\n: 1", ", line 1: a key must be the name of an option"),
        ("- port", " must have one option a line, such as port: 8000"),
        ("port 8000", " must have one option a line, such as port: 8000"),
        ("port: 1\n\tx: 2", ", line 2: is not YAML: "),
        ("port: [1", ", line 1: is not YAML: "),
        ("a: 1\n---\nb: 2", ", line 2: is not YAML: "),
        (b"host: \xff", " must be text in UTF-8"),
        ("[" * 500, " is nested too deeply"),
        ("#" * 1_100_000, " must be smaller than 1 MB"),
    ],
)
def test_an_invalid_file_is_one_line_with_file_and_key(tmp_path: Path, text: str | bytes, says: str) -> None:
    assert refusal(tmp_path, text).startswith(says)


@pytest.mark.parametrize(
    "text",
    [
        "api-key: *s3cret",
        "api-key: !s3cret!x y",
        "api-key: &s3cret\nowned-by: &s3cret [",
        "api-key: {s3cret: 1}",
        "api-key: [[s3cret]]",
        "api-key: s3cret key: x",
        "api-key: 's3cret",
    ],
)
def test_no_error_shows_a_key(tmp_path: Path, text: str) -> None:
    assert "s3cret" not in refusal(tmp_path, text)


@pytest.mark.parametrize("path", ["/no/such/file.yaml", "/"])
def test_a_file_that_cannot_be_read_is_reported(path: str) -> None:
    with pytest.raises(WrongUseError, match=f"--config {path} cannot be read: "):
        deploy.make_context("deploy", ["--config", path])


def test_contradicting_options_are_reported_with_their_lines(tmp_path: Path) -> None:
    file = tmp_path / "server.yaml"
    file.write_text("engine: scripted\nprofile: demo\n")
    result = CliRunner().invoke(cli, ["--config", str(file)])
    assert result.exit_code == 2
    assert result.output == (
        "Error: --profile is for --engine sim; the scripted engine takes --script"
        f" ({file}: engine is on line 1, profile is on line 2)\n"
    )


WORDS = st.text(st.characters(exclude_categories=["Cs"]), min_size=1, max_size=20)


@given(WORDS, st.lists(WORDS, min_size=1, max_size=3), st.integers(0, 65535), st.booleans())
def test_a_value_of_the_file_reaches_the_option_as_written(
    tmp_path_factory: pytest.TempPathFactory, text: str, words: list[str], port: int, verbose: bool
) -> None:
    written = yaml.safe_dump({"system": text, "stop_words": words, "port": port, "verbose": verbose})
    found = options(tmp_path_factory.getbasetemp(), written)
    assert (found["system"], found["stop_words"]) == (text, tuple(words))
    assert (found["port"], found["verbose"]) == (port, verbose)
