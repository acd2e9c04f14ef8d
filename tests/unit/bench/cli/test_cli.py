"""Options to settings, and every wrong use to one line that names the option, the value and the remedy."""

from __future__ import annotations

from pathlib import Path

import click
import pytest

from bench.cli.load_test import load_test
from bench.cli.vllm_options import REFUSED, refusal_of
from bench.load.embedded import ServerChoice
from bench.load.plan import Limits
from bench.workload.arrivals import Constant, Gamma, Poisson
from streamgauge.option_sections import dashed
from tests.unit.bench.options import URL, parse, refusal


def test_without_options_the_embedded_server_is_measured_for_fifteen_seconds() -> None:
    settings = parse()
    assert settings.address is None
    assert (settings.streams, settings.limits, settings.output_len) == (64, Limits(duration_s=15), 128)
    assert (settings.fixed_length, settings.warmup, settings.cache, settings.seed) == (None, None, "bust", 7)
    assert settings.again == "python -m bench --seed 7"


@pytest.mark.parametrize(
    ("arguments", "field", "value"),
    [
        (("--concurrency", "8"), "streams", 8),
        (("--max-concurrency", "8"), "streams", 8),
        (("--max_concurrency=8",), "streams", 8),
        (("--duration", "500ms"), "limits", Limits(duration_s=0.5)),
        (("--num-requests", "9"), "limits", Limits(requests=9)),
        (("--num_prompts", "9"), "limits", Limits(requests=9)),
        (("--num-prompts", "9", "--duration", "2m"), "limits", Limits(120, 9)),
        (("--input-len", "9"), "input_len", 9),
        (("--random-input-len", "9"), "input_len", 9),
        (("--dataset-name", "random"), "input_len", 1024),
        (("--dataset-name", "custom", "--dataset-path", "p.jsonl"), "prompts", Path("p.jsonl")),
        (("--prompts", "p.jsonl"), "prompts", Path("p.jsonl")),
        (("--output-len", "9"), "output_len", 9),
        (("--random-output-len", "9"), "output_len", 9),
        (("--output-len", "9"), "fixed_length", True),
        (("--no-ignore-eos",), "fixed_length", False),
        (("--ignore-eos",), "fixed_length", True),
        (("--warmup", "0"), "warmup", 0),
        (("--num-warmups", "3"), "warmup", 3),
        (("--endpoint", "completions"), "endpoint", "completions"),
        (("--backend", "vllm"), "endpoint", "completions"),
        (("--backend", "openai-chat"), "endpoint", "chat"),
        (("--request-rate", "inf"), "streams", 64),
        (("--request-rate", "4"), "streams", None),
        (("--request-rate", "4"), "arrivals", Poisson(4)),
        (("--request-rate", "4", "--concurrency", "9"), "streams", 9),
        (("--request-rate", "4.5", "--arrivals", "constant"), "arrivals", Constant(4.5)),
        (("--request-rate", "4", "--burstiness", "inf"), "arrivals", Constant(4)),
        (("--request-rate", "4", "--burstiness", "1"), "arrivals", Poisson(4)),
        (("--request-rate", "4", "--burstiness", "0.5"), "arrivals", Gamma(4, 0.5)),
        (("--no-stream",), "streamed", False),
        (("--strict",), "strict", True),
        (("--temperature", "0", "--extra-body", '{"a": 1}'), "extra_body", {"a": 1, "temperature": 0.0}),
        (("--disable-tqdm",), "live", False),
        (("--server-profile", "instant"), "server", ServerChoice(profile="instant")),
        (
            ("--engine", "vllm", "--model_id_or_path", "/m", "--server-args", "--dtype 'fp32' --enforce-eager"),
            "server",
            ServerChoice("vllm", None, ("--model-id-or-path", "/m"), ("--dtype", "fp32", "--enforce-eager")),
        ),
        (("--model_type", "qwen-7b-chat"), "server", ServerChoice(model=("--model-type", "qwen-7b-chat"))),
        (("--engine", "vllm", "--model", "/m"), "server", ServerChoice("vllm", model=("--model-id-or-path", "/m"))),
        (("--engine", "vllm", "--model", "/m"), "model", None),
        (("--ckpt-dir", "/a", "--model", "default-lora"), "server", ServerChoice(model=("--ckpt-dir", "/a"))),
        (("--ckpt-dir", "/a", "--model", "default-lora"), "model", "default-lora"),
        ((*URL, "--model", "a", "--served-model-name", "b"), "model", "b"),
        ((*URL, "--api-key", "k"), "api_key", "k"),
        ((*URL, "--api-key", " k\n"), "api_key", "k"),
        (("--extra-body", '{"n": 1}'), "extra_body", {"n": 1}),
    ],
)
def test_options_and_their_names_in_vllm(arguments: tuple[str, ...], field: str, value: object) -> None:
    assert getattr(parse(*arguments), field) == value


def test_the_columns_and_rows_of_the_table() -> None:
    settings = parse("--metric-percentiles", "99,50", "--percentile-metrics", "e2el,ttft,e2el")
    assert settings.view.percentiles == (50.0, 99.0)
    assert settings.view.rows == ("e2e", "ttft")


def test_a_result_file_has_the_path_that_vllm_would_use() -> None:
    def place(*arguments: str) -> Path:
        output = parse(*arguments).output
        assert output.save_result
        return output.save_dir / (output.result_filename or "")

    assert place("--save-result") == Path()
    assert place("--result-filename", "v.json") == Path("v.json")
    assert place("--result-filename", "sub/v.json") == Path("sub/v.json")
    assert place("--result-filename", "../v.json") == Path("../v.json")
    assert place("--result-filename", "/tmp/v.json", "--result-dir", "d") == Path("/tmp/v.json")
    assert place("--result-filename", "sub/v.json", "--result-dir", "d") == Path("d/sub/v.json")
    assert place("--save-detailed", "--result-dir", "d") == Path("d")
    assert parse("--result-filename", "v.json").result_dir == Path("runs")


@pytest.mark.parametrize("name", [".", "..", "sub/", "/", "/tmp"])
def test_a_result_file_that_is_a_folder_is_refused(name: str) -> None:
    assert refusal("--result-filename", name) == f"--result-filename {name}: is a folder; name a file in it"


def test_files_that_cannot_be_written_are_refused_before_the_run(tmp_path: Path) -> None:
    (tmp_path / "file").touch()
    below = str(tmp_path / "file" / "x")
    assert refusal("--result-filename", below) == f"--result-filename {below}: {tmp_path / 'file'} is not a folder"
    assert refusal("--json", below) == f"--json {below}: there is no folder {tmp_path / 'file'}"
    both = str(tmp_path / "v.json")
    assert "name the same file" in refusal("--result-filename", both, "--json", both)
    assert parse("--json", "/dev/null").output.json == Path("/dev/null")


@pytest.mark.parametrize(
    "arguments",
    [
        ("--goodput", "ttft:200", "e2el:5000ms"),
        ("--goodput", "ttft:200", "--seed", "3", "--goodput", "e2e:5000"),
        ("--goodput=ttft:200,e2e:5000",),
        ("--goodput", "ttft:200 e2e:5000"),
    ],
)
def test_goodput_in_every_spelling(arguments: tuple[str, ...]) -> None:
    assert parse(*arguments).view.goodput == {"ttft": 200.0, "e2e": 5000.0}


@pytest.mark.parametrize(
    ("arguments", "endpoint"),
    [
        (("--base-url", "http://h:1"), "http://h:1 /v1/chat/completions"),
        (("--base-url", "h:1/v1/"), "http://h:1 /v1/chat/completions"),
        (("--base-url", "http://h:1/v1/completions"), "http://h:1 /v1/completions"),
        (("--base-url", "https://h/api/v1"), "https://h /api/v1/chat/completions"),
        (("--host", "h", "--port", "1"), "http://h:1 /v1/chat/completions"),
        (("--port", "1"), "http://127.0.0.1:1 /v1/chat/completions"),
        (("--host", "::1"), "http://[::1]:8000 /v1/chat/completions"),
        (("--base-url", "http://h:1", "--endpoint", "/v1/completions"), "http://h:1 /v1/completions"),
        (("--base-url", "http://h:1/v1", "--endpoint", "/v1/chat/completions"), "http://h:1 /v1/chat/completions"),
        (("--base-url", "http://h:1/v1", "--endpoint", "/chat/completions"), "http://h:1 /v1/chat/completions"),
        (("--base-url", "http://h:1", "--endpoint", "/gate/completions"), "http://h:1 /gate/completions"),
        (("--base-url", "http://h:1", "--endpoint", "/a b/é/completions"), "http://h:1 /a%20b/%C3%A9/completions"),
    ],
)
def test_addresses_in_every_form(arguments: tuple[str, ...], endpoint: str) -> None:
    address = parse(*arguments).address
    assert address is not None
    assert f"{address.api.origin} {address.endpoint('chat')}" == endpoint


def test_missing_options_are_read_from_the_environment() -> None:
    environment = {"OPENAI_BASE_URL": "http://e:1/v1", "OPENAI_API_KEY": "secret"}
    settings = parse(**environment)
    assert (str(settings.address), settings.address_source) == ("http://e:1/v1", "OPENAI_BASE_URL")
    assert (settings.api_key, settings.key_source) == ("secret", "OPENAI_API_KEY")
    given = parse(*URL, "--api-key", "mine", **environment)
    assert (str(given.address), given.address_source) == ("http://h:1/v1", None)
    assert (given.api_key, given.key_source) == ("mine", None)
    assert parse("--server-profile", "demo", **environment).address is None


def test_the_command_to_run_again_can_be_pasted() -> None:
    settings = parse("--seed", "3", "--extra-body", '{"a": 1}')
    assert settings.again == "python -m bench --seed 3 --extra-body '{\"a\": 1}'"


@pytest.mark.parametrize(
    ("arguments", "words"),
    [
        (("--concurrency", "0"), "--concurrency must be at least 1 (got 0)"),
        (("--max_concurrency", "0"), "--max-concurrency must be at least 1 (got 0)"),
        (("--concurrency", "many"), "--concurrency must be a whole number (got 'many')"),
        (("--duration", "0"), "--duration must be more than 0 (got 0)"),
        (("--duration", "5x"), "--duration must be a time such as 15, 15s, 500ms or 2m (got '5x')"),
        (("--port", "70000"), "--port must be at most 65535 (got 70000)"),
        (("--warmup", "-1"), "--warmup must be at least 0 (got -1)"),
        (("--top-p", "1.5"), "--top-p must be from 0 to 1 (got 1.5)"),
        (("--temperature", "nan"), "--temperature must be at least 0 (got nan)"),
        (("--endpoint", "embeddings"), "--endpoint must be chat, completions or a path"),
        ((*URL, "--endpoint", "/v1/embeddings"), "--endpoint: '/v1/embeddings' is not an endpoint"),
        (("--base-url", "ftp://h", "--endpoint", "/v1/embeddings"), "--base-url: 'ftp://h' is not"),
        (("--host", "a b"), "--host: 'a b' is not a host name"),
        (("--endpoint", "/v1/completions"), "a path needs your own server"),
        (("--backend", "tgi"), "--backend must be one of vllm, openai, openai-chat (got 'tgi')"),
        (
            ("--backend", "vllm", "--endpoint", "chat"),
            "--backend vllm uses completions, but the given endpoint is chat",
        ),
        (("--cache", "maybe"), "--cache must be bust or keep (got 'maybe')"),
        (("--metric-percentiles", "50,x"), "--metric-percentiles must be numbers separated by commas"),
        (("--metric-percentiles", "100"), "--metric-percentiles must be between 0 and 100"),
        (("--percentile-metrics", "ttft,foo"), "(got 'foo')"),
        (("--extra-body", "{"), "--extra-body must be a JSON object"),
        (("--extra-body", "[1]"), "--extra-body must be a JSON object (got '[1]')"),
        (("--extra-body", '{"a": NaN}'), "--extra-body must be a JSON object (JSON is malformed"),
        (("--extra-body", "[" * 100_000), "--extra-body must be a JSON object (maximum recursion depth exceeded"),
        (("--extra-body", '{"n": 2}'), '"n" must be 1 (got 2)'),
        (("--extra-body", '{"n": true}'), '"n" must be 1 (got true)'),
        (("--no-stream", "--extra-body", '{"stream": true}'), 'must not set "stream" (got true): give --stream or'),
        (("--extra-body", '{"max_tokens": 5}'), 'must not set "max_tokens" (got 5): give --output-len instead'),
        ((*URL, "--api-key", ""), "--api-key must not be empty"),
        ((*URL, "--api-key", "a\nb"), "--api-key must be one word"),
        ((*URL, "--api-key", "a", "--api-key-file", "f"), "--api-key and --api-key-file exclude each other"),
        (
            (*URL, "--api-key", "a", "--header", "authorization: b"),
            "--api-key and --header Authorization exclude each other",
        ),
        ((*URL, "--api-key-file", "/nowhere"), "--api-key-file /nowhere: cannot be read (No such file or directory)"),
        ((*URL, "--api-key-file", "/"), "--api-key-file /: cannot be read (Is a directory)"),
        ((*URL, "--header", "X-A=1", "x-a: 2"), "--header gives x-a twice: keep one of them"),
        ((*URL, "--header"), "--header needs a value"),
        (("--request-rate", "0"), "--request-rate must be from 0.001 to 1,000,000 requests a second, or inf (got 0)"),
        (("--request-rate", "fast"), "--request-rate must be a number of requests a second, or inf (got 'fast')"),
        (("--arrivals", "constant"), "--arrivals applies to a request rate: give --request-rate as well"),
        (("--burstiness", "2"), "--burstiness applies to a request rate: give --request-rate as well"),
        (("--request-rate", "4", "--burstiness", "0"), "--burstiness must be from 0.01 to 1,000, or inf (got 0)"),
        (
            ("--request-rate", "4", "--burstiness", "x"),
            "--burstiness must be a number from 0.01 to 1,000, or inf (got 'x')",
        ),
        (("--request-rate", "4", "--arrivals", "uniform"), "--arrivals must be one of poisson, constant, gamma"),
        (("--request-rate", "4", "--arrivals", "gamma"), "--arrivals gamma needs its shape: give --burstiness"),
        (("--request-rate", "4", "--arrivals", "poisson", "--burstiness", "2"), "exclude each other"),
        (("--goodput", "ttft"), "--goodput must give the limit in milliseconds, such as ttft:200 (got 'ttft')"),
        (("--goodput", "itl:50"), "--goodput must be one of ttft, ttft_sched, ttfv, tpot, e2e, max_gap (got 'itl:50')"),
        (
            ("--goodput", "200"),
            "--goodput must name a figure and its limit in milliseconds, such as ttft:200 (got '200')",
        ),
        (("--goodput", "ttft:0"), "--goodput must give the limit in milliseconds, such as ttft:200 (got 'ttft:0')"),
        (("--goodput", "ttft:p99:200"), "--goodput limits apply to each request, not to a percentile: give ttft:200"),
        (("--goodput", "ttft:1", "--goodput", "ttft:2"), "--goodput gives ttft twice (got 'ttft:2')"),
        (("--dataset-name", "sharegpt"), "--dataset-name must be random or custom (got 'sharegpt')"),
        (("--dataset-name", "custom"), "needs --dataset-path FILE"),
        (("--prompts", "p", "--input-len", "9"), "exclude each other"),
        (("--model", "m"), "--model m needs a server that serves it: give --base-url, or --engine vllm to start one"),
        ((*URL, "--engine", "vllm"), "are for the embedded server; leave them out, or the address"),
        (("--server-args", "'"), "--server-args cannot be split: No closing quotation"),
        ((*URL, "--port", "1"), "exclude each other"),
        ((*URL, "--server-profile", "demo"), "are for the embedded server"),
        (("--base-url", "ftp://h"), "--base-url: 'ftp://h' is not an http(s) address"),
        (("--conkurrency", "1"), "unknown option --conkurrency; did you mean --concurrency?"),
        (("--qqq",), "unknown option --qqq; --help lists all options"),
        (("--json",), "--json needs a value"),
        (("--json", "/"), "--json /: is a folder; name a file in it"),
        (("--no-stream", "--goodput", "e2e:9", "tpot:9"), "--goodput tpot needs streams"),
        (
            ("--output-len", "1", "--goodput", "ttft:9", "max_gap:9"),
            "--goodput max_gap needs answers of two tokens or more (got --output-len 1)",
        ),
        (("--model", ""), "--model must not be empty (got '')"),
        (("--prompts", " "), "--prompts must not be empty (got ' ')"),
        (("--result-dir", ""), "--result-dir must not be empty (got '')"),
        (("--json", ""), "--json must not be empty (got '')"),
        (("--num-requests", str(2**31)), "--num-requests must be at most 2147483647 (got 2147483648)"),
        (("--output-len", "9" * 30), "--output-len must be at most 2147483647 (got 999"),
        (("--input-len", "9999999"), "--input-len must be at most 2000000 (got 9999999)"),
        (("--seed", str(2**63)), "--seed must be at most 9223372036854775807 (got 9223372036854775808)"),
        (("--duration", "721h"), "--duration must be at most 720h, which is 30 days (got 721h)"),
        (("--timeout", "99999999999h"), "--timeout must be at most 720h"),
        (("--temperature", "inf"), "--temperature must be at least 0 (got inf)"),
        (("--temperature", "1e999"), "--temperature must be at least 0 (got 1e999)"),
        (("--request-rate", "1e-9"), "--request-rate must be from 0.001 to 1,000,000 requests a second"),
        (("--request-rate", "4", "--burstiness", "1e-300"), "--burstiness must be from 0.01 to 1,000, or inf"),
        (("--host", "http://h"), "--host http://h: must be a host name; give a whole address as --base-url"),
        (("--host", "h:80"), "--host h:80: must not contain a port; give --host h --port 80"),
        (("--base-url", "http://u:secret@h"), "a user name in the address is not sent; give the key as --api-key"),
        (("--base-url", "http://h/v1/completions", "--endpoint", "chat"), "the path of the address, /v1/completions,"),
        (("--base-url", "http://h/v1/completions", "--endpoint", "/v1/chat/completions"), "name different endpoints"),
        (("--served-model-name", "x"), "--served-model-name x needs a server that serves it"),
        (("--strict=yes",), "--strict takes no value"),
        (("reprot", "runs/1"), "unknown command reprot; did you mean report?"),
        (("run",), "unexpected words 'run': options begin with --"),
    ],
)
def test_wrong_use_is_one_clear_line(arguments: tuple[str, ...], words: str) -> None:
    said = refusal(*arguments)
    assert words in said
    assert "\n" not in said


def test_an_address_from_the_environment_is_blamed_by_its_variable() -> None:
    assert refusal(OPENAI_BASE_URL="ftp://h").startswith("OPENAI_BASE_URL: ")


@pytest.mark.parametrize("option", REFUSED)
def test_unsupported_options_of_vllm_are_refused_by_name(option: str) -> None:
    for name in (option, "--" + option[2:].replace("-", "_")):
        assert refusal(name, "1") == f"{option} of vllm bench serve is not supported: {REFUSED[option]}"


def test_no_supported_option_is_refused() -> None:
    assert not [name for param in load_test.params for name in param.opts if refusal_of(dashed(name))]


def test_options_of_other_datasets_are_refused_by_name() -> None:
    for option in ("--sonnet-input-len", "--hf-split", "--random_mm_bucket_config"):
        assert refusal(option, "1").endswith(
            " of vllm bench serve is not supported: "
            "the dataset is not built in: write its prompts into a file for --prompts"
        )


def test_each_option_has_help_and_a_section() -> None:
    context = click.Context(load_test, info_name="bench")
    text = load_test.get_help(context)
    positions = [text.index(f"\n{title}:") for title in ("Server", "Load", "Requests", "Time limits", "Output", "Help")]
    assert positions == sorted(positions)
    for param in load_test.params:
        assert isinstance(param, click.Option)
        assert param.help
        assert param.opts[0] in text
