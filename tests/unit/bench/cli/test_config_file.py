"""`--config`: a file of options, below what is typed and above the environment; and what is wrong with one."""

from __future__ import annotations

import os
from pathlib import Path

import pytest

from bench.cli.load_test import load_test
from bench.load.plan import Limits
from bench.load.settings import LoadSettings
from tests.unit.bench.options import parse, refusal


@pytest.fixture
def file(tmp_path: Path) -> Path:
    return tmp_path / "bench.yaml"


def read(file: Path, text: str, *arguments: str, **environment: str) -> LoadSettings:
    file.write_text(text, "utf-8")
    return parse("--config", str(file), *arguments, **environment)


def refused(file: Path, text: str, *arguments: str) -> str:
    file.write_text(text, "utf-8")
    return refusal("--config", str(file), *arguments)


EVERYTHING = """
base_url: http://h:1
model: m
max-concurrency: 8
duration: 1m
num_prompts: 100
stream: no
strict: true
seed: 08
cache: keep
header: {X-A: 1, X-B: two}
goodput:
  - e2e: 5000
metric-percentiles: [50, 99.5]
percentile-metrics: e2e
api-key: secret
extra-body:
  a: {b: [1, null, true]}
no-ignore-eos: true
"""


def test_a_file_of_options(file: Path) -> None:
    settings = read(file, EVERYTHING)
    assert str(settings.address) == "http://h:1/v1"
    assert (settings.model, settings.streams, settings.limits) == ("m", 8, Limits(60, 100))
    assert (settings.streamed, settings.strict, settings.seed, settings.cache) == (False, True, 8, "keep")
    assert settings.headers == (("X-A", "1"), ("X-B", "two"))
    assert settings.view.goodput == {"e2e": 5000}
    assert (settings.view.percentiles, settings.view.rows) == ((50, 99.5), ("e2e",))
    assert (settings.api_key, settings.fixed_length) == ("secret", False)
    assert settings.extra_body == {"a": {"b": [1, None, True]}}


def test_what_the_file_set_is_kept_without_secrets(file: Path) -> None:
    settings = read(file, EVERYTHING, "--seed", "3", "--base-url", "http://typed")
    assert settings.config is not None
    assert settings.config.file == str(file)
    options = settings.config.options
    assert options["api-key"] == "<hidden>"
    assert options["header"] == ["X-A=<hidden>", "X-B=<hidden>"]
    assert "base-url" not in options
    assert "seed" not in options
    assert (options["max-concurrency"], options["stream"]) == ("8", False)
    assert settings.again.startswith(f"python -m bench --config {file} --seed 3")
    server = read(file, "server-args: --api-key topsecret")
    assert server.config is not None
    assert "topsecret" not in repr(server.config)


@pytest.mark.parametrize("text", ["", "# nothing\n", "---\n", "null", "\ufeffconcurrency: 64"])
def test_an_empty_file_and_one_with_a_mark_at_its_beginning(file: Path, text: str) -> None:
    assert read(file, text).streams == 64


def test_typed_options_override_the_file_and_the_file_overrides_the_environment(file: Path) -> None:
    text = "base-url: http://file:1\napi-key: file\nconcurrency: 2\nheader: [A=1]\nendpoint: chat\nstream: false"
    environment = {"OPENAI_BASE_URL": "http://environment", "OPENAI_API_KEY": "environment"}
    from_file = read(file, text, **environment)
    assert (str(from_file.address), from_file.address_source) == ("http://file:1/v1", None)
    assert (from_file.api_key, from_file.key_source) == ("file", None)
    typed = read(file, text, "--concurrency", "3", "--header", "B=2", "--stream", **environment)
    assert (typed.streams, typed.headers, typed.streamed) == (3, (("B", "2"),), True)


@pytest.mark.parametrize(
    ("text", "arguments"),
    [
        ("base-url: http://file:1", ("--port", "9")),
        ("host: file", ("--base-url", "http://typed")),
        ("base-url: http://file:1", ("--server-profile", "instant")),
        ("server-profile: instant", ("--base-url", "http://typed")),
        ("api-key-file: /nowhere\nport: 1", ("--api-key", "k")),
        ("api-key: k\nport: 1", ("--api-key-file", os.devnull)),
        ("input-len: 5", ("--prompts", "p")),
        ("prompts: p", ("--input-len", "5")),
        ("dataset-name: random", ("--prompts", "p")),
        ("backend: vllm\nport: 1", ("--endpoint", "chat")),
    ],
)
def test_a_typed_option_replaces_its_rival_in_the_file(file: Path, text: str, arguments: tuple[str, ...]) -> None:
    if os.devnull in arguments:
        assert "is empty" in refused(file, text, *arguments)
    else:
        read(file, text, *arguments)


def test_host_in_the_file_and_port_on_the_command_line_go_together(file: Path) -> None:
    assert str(read(file, "host: file", "--port", "9").address) == "http://file:9/v1"


@pytest.mark.parametrize(
    ("text", "says"),
    [
        ("concurency: 8", "line 1: unknown option concurency; did you mean concurrency?"),
        ("seed: 7\n--seed: 8", "line 2: unknown option --seed; did you mean seed?"),
        ("zzz: 8", "line 1: unknown option zzz; keys are the long options of python -m bench --help"),
        ("label: x", "line 1: label of vllm bench serve is not supported: "),
        ("config: x", "line 1: config is only valid on the command line"),
        ("version: true", "line 1: version is only valid on the command line"),
        ("concurrency: 0", "line 1: concurrency must be at least 1 (got 0)"),
        ("\nmax_concurrency: 2.5", "line 2: max_concurrency must be a whole number (got '2.5')"),
        ("concurrency: true", "line 1: concurrency must be a whole number (got 'true')"),
        ("concurrency: [1, 2]", "line 1: concurrency must have one value, not a list or a mapping"),
        ("model:", "line 1: model has no value; give it one, or delete the line"),
        ("strict: 3", "line 1: strict must be true or false (got '3')"),
        ("strict: [true]", "line 1: strict must be true or false"),
        ("concurrency: 1\nmax-concurrency: 2", "line 2: max-concurrency and concurrency (line 1) set the same option"),
        ("stream: true\nno-stream: true", "line 2: no-stream and stream (line 1) set the same option"),
        ("header: X-Key", "line 1: header must be NAME=VALUE"),
        ("goodput: [itl:5]", "line 1: goodput must be"),
        ("extra-body: {when: 2026-01-01}", "line 1: extra-body must be an object that JSON can represent"),
        ("extra-body: {1: 2}", "line 1: extra-body must be an object that JSON can represent"),
        ("extra-body: {a: .nan}", "line 1: extra-body must be an object that JSON can represent"),
        ("extra-body: &a {b: *a}", "line 1: extra-body must be an object that JSON can represent"),
        ("extra-body: {max_tokens: 5}", '--extra-body must not set "max_tokens" (got 5): give --output-len instead ('),
        ("base-url: http://h\nport: 5", "keep one of them ("),
        ("? [a]\n: 1", "line 1: each key must be the name of an option"),
        ("- concurrency", "must contain one option per line, such as concurrency: 64"),
        ("concurrency", "must contain one option per line, such as concurrency: 64"),
        ("a: b: c", "line 1: is not YAML: mapping values are not allowed here"),
        ("a: 1\n--- \nb: 2", "line 2: is not YAML: but found another document"),
        ("a: [" * 5000, "nested too deeply"),
    ],
)
def test_errors_name_the_file_the_line_and_the_key(file: Path, text: str, says: str) -> None:
    said = refused(file, text)
    assert says in said
    assert str(file) in said
    assert "\n" not in said


def test_files_that_cannot_be_read(file: Path, tmp_path: Path) -> None:
    assert refusal("--config", str(file)) == f"--config {file} cannot be read (No such file or directory)"
    assert refusal("--config", str(tmp_path)) == f"--config {tmp_path} cannot be read (Is a directory)"
    file.write_bytes(b"model: \xff")
    assert refusal("--config", str(file)) == f"--config {file} is not UTF-8 text (byte 7)"
    file.write_bytes(b"#" * 2_000_000)
    assert "is larger than 1 MB" in refusal("--config", str(file))


def test_every_long_option_can_be_set_in_a_file(file: Path) -> None:
    """Each is known there: what is wrong with it, if anything, is its value."""
    for param in load_test.params:
        for name in (*param.opts, *param.secondary_opts):
            if name in ("--config", "--version") or not name.startswith("--"):
                continue
            file.write_text(f"{name[2:]}: true")
            try:
                parse("--config", str(file))
            except Exception:  # a value that does not fit
                assert "unknown option" not in refusal("--config", str(file))
