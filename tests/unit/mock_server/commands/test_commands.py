from __future__ import annotations

import json
import subprocess
import sys
from importlib.util import find_spec
from pathlib import Path

import click
import pytest
from click.testing import CliRunner

from mock_server.commands import cli
from mock_server.commands.deploy import deploy
from mock_server.commands.option_types import TEXT, HostParam
from mock_server.engine.errors import EngineOptionError
from mock_server.engine.kind import ServedModel
from mock_server.engine.registry import make_engine
from mock_server.engine.sim.factories import parse_script
from mock_server.engine.sim.options import SimulatedOptions
from streamgauge.install import install_command
from streamgauge.version import version_line
from tests.support.checkpoints import write_base
from tests.support.serving import ROOT


@pytest.mark.parametrize(
    ("args", "says"),
    [
        (["--prot", "1"], "Did you mean one of: '--host', '--port'"),
        (["deplyo"], "No such command 'deplyo'. Did you mean deploy?"),
        (["app_uii"], "No such command 'app_uii'. Did you mean app-ui?"),
        (["deploy", "extra"], "unexpected extra argument"),
        (["--port", "70000"], "70000"),
        (["--profile", "demos"], "Did you mean demo?"),
        (["--engine", "simm"], "Did you mean sim?"),
        (["--script", "ttft_ms=1"], "--script is for --engine scripted"),
        (["--engine", "scripted", "--profile", "demo"], "--profile is for --engine sim"),
        (["--engine", "scripted", "--script", "ttft=1"], "--script knows ttft_ms and itl_ms, not 'ttft'"),
        (["--engine", "scripted", "--script", "ttft_ms=x"], "must be a number of milliseconds (got 'x')"),
        (["--engine", "scripted", "--script", "itl_ms=-1"], "must be at least 0"),
        (["--time-scale", "0"], "0.0 is not in the range x>0"),
        (["--max-num-seqs", "9", "--max-num-batched-tokens", "8"], "--max-num-batched-tokens must be at least 9"),
        (["--model_type", "qwen-7b-cat"], "model type 'qwen-7b-cat' is not known. Nearest: qwen-7b-chat"),
        (["--ckpt_dir", "/x"], "--ckpt-dir /x: there is no such folder"),
        (["--model", "/x"], "--model-id-or-path /x: there is no such folder, and it is not a hub id"),
        (["--engine", "vllm"], "--engine vllm needs a model: --model-type, --model-id-or-path or --ckpt-dir"),
        (["--infer_backend", "pt"], "--engine transformers needs a model: --model-type, --model-id-or-path or"),
        (["--infer_backend", "pt", "--model", "a/b", "--dtype", "fp8"], "--dtype fp8 is not known; there are: auto,"),
        (["--infer_backend", "pt", "--model", "a/b", "--enforce-eager"], "--enforce-eager is for --engine vllm or nat"),
        (["--model", "a/b", "--device", "cpu"], "--device is for --engine transformers; this is --engine vllm"),
        (["--infer_backend", "lmdeploy"], "--infer-backend lmdeploy is not known; there are: auto, vllm, pt"),
        (["--infer_backend", "vllm", "--engine", "sim"], "contradict each other"),
        (
            ["--tensor_parallel_size", "2"],
            "--tensor-parallel-size is for --engine vllm or native; this is --engine sim",
        ),
        (["--model", "a/b", "--profile", "demo"], "--profile is for --engine sim or scripted; this is --engine vllm"),
        (["--model", "a/b", "--chat-template", "/none.jinja"], "--chat-template /none.jinja cannot be read"),
        (["--model", "a/b", "--template-type", "qwenn"], "--template-type qwenn is not known; there are: chatml, qwen"),
        (["--model", "a/b", "--template-type", "qwen", "--chat-template", "{{ a }}"], "both name a chat template"),
        (["--model", "a/b", "--do-sample", "false", "--temperature", "0.5"], "--temperature 0.5 is not: keep one"),
        (["--model", "a/b", "--top-k", "5", "--override-generation-config", '{"top_k": 6}'], "disagree about top_k"),
        (
            ["--model", "a/b", "--dtype", "fp32", "--engine-args", '{"dtype": "half"}'],
            "'dtype', which --dtype sets too",
        ),
        (["--model", "a/b", "--engine-args", '{"model": "c"}'], "'model', which --model sets too"),
        (["--model", "a/b", "--engine-args", "[1]"], "not a JSON object"),
        (["--model", "a/b", "--engine-args", "{"], "is not JSON"),
        (["--model", "a/b", "--kv-cache-memory-bytes", "12X"], "'12X' is not a size"),
        (["--engine", "native", "--model", "a/b", "--owned-by", "me"], "--owned-by is not an option of vllm serve"),
        (["--engine", "native"], "--engine native needs a model"),
        (["--lora-modules", "a=/x", "a=/y"], "'a' is given twice"),
        (["--lora-modules", "=/x"], "has no name"),
        (["--lora-modules", '{"path": "/x"}'], "not an object with name and path, both strings"),
        (["--no-chat", "perhaps"], "must be true or false (got 'perhaps')"),
        (["--no-chat", ""], "must be true or false (got '')"),
        (["--uds", "/tmp/s", "--port", "8000"], "--uds and --port cannot be combined"),
        (["--uds", "/tmp/s", "--host", "::"], "--uds and --host cannot be combined"),
        (["--root-path", "llm"], "--root-path must begin with a slash, such as /llm (got 'llm')"),
        (
            ["--chat-template", "x"],
            "--chat-template is for --engine vllm, transformers or native; this is --engine sim",
        ),
        (
            ["--template-type", "x"],
            "--template-type is for --engine vllm, transformers or native; this is --engine sim",
        ),
        (["--shutdown-timeout", "inf"], "inf is not in the range"),
        (["--shutdown-timeout", "nan"], "must be a finite number (got nan)"),
        (["--log-interval", "inf"], "must be a finite number (got inf)"),
        (["--time-scale", "nan"], "must be a finite number (got nan)"),
        (["--max-body-size", "0"], "must be at least one byte (got 0)"),
        (["--seed", "9223372036854775808"], "9223372036854775808 is not in the range"),
        (["--lora-modules", '{"name": 3}'], "not an object with name and path, both strings"),
        (["--lora-modules", '{"name": "a", "path": 3}'], "not an object with name and path, both strings"),
        (["--api-key", " "], "--api-key must not be empty"),
        (["--no-chat", "--system", "Be brief."], "--no-chat serves completions only, where --system has no effect"),
        (["--no-chat", "--reasoning-parser", "qwen3"], "where --reasoning-parser has no effect"),
        (["--model", "a/b", "--no-chat", "--chat-template", "{{ a }}"], "where --chat-template has no effect"),
        (
            ["--enable-auto-tool-choice", "false", "--tool-call-parser", "hermes"],
            "--enable-auto-tool-choice false leaves --tool-call-parser without effect",
        ),
    ],
)
def test_wrong_use_is_explained_and_exits_with_2(args: list[str], says: str) -> None:
    result = CliRunner().invoke(cli, args)
    assert result.exit_code == 2
    assert says in " ".join(result.output.split())


TEXTS = [
    option.opts[0]
    for option in deploy.params
    if isinstance(option, click.Option) and (option.type is TEXT or isinstance(option.type, HostParam))
]


@pytest.mark.parametrize("option", TEXTS)
def test_an_empty_variable_in_a_script_is_not_an_omitted_option(option: str) -> None:
    result = CliRunner().invoke(cli, [option, ""])
    assert result.exit_code == 2
    assert "must not be empty" in result.output


def test_the_options_that_take_text_are_known() -> None:
    assert {"--host", "--model-id-or-path", "--model-type", "--api-key", "--api-key-file", "--engine"} <= {*TEXTS}


@pytest.mark.skipif(find_spec("vllm") is not None, reason="vLLM is installed here")
@pytest.mark.parametrize("engine", [[], ["--engine", "vllm"], ["--engine", "native"], ["--infer-backend", "vllm"]])
def test_a_real_model_without_vllm_says_what_to_install(engine: list[str]) -> None:
    result = CliRunner().invoke(cli, ["--model_type", "qwen-7b-chat", *engine])
    assert result.exit_code == 1
    said = " ".join(result.output.split())
    assert said.startswith("Error: A real model needs vLLM, which is not installed: pip install -e '.[vllm]' for GPUs")
    assert ("use --engine sim" in said) == (engine != ["--engine", "native"])


@pytest.mark.skipif(find_spec("torch") is not None, reason="torch is installed here")
def test_the_engine_transformers_says_what_to_install(tmp_path: Path) -> None:
    model = write_base(tmp_path / "model")
    result = CliRunner().invoke(cli, ["--ckpt_dir", str(model), "--infer_backend", "pt"])
    assert result.exit_code == 1
    said = " ".join(result.output.split())
    assert said.startswith("Error: The engine transformers needs torch, transformers, peft, accelerate")
    assert said.endswith(f"not installed: {install_command('transformers')}.")


@pytest.mark.parametrize("form", [["--log-format", "json"], ["--log_format=json"]])
@pytest.mark.parametrize(
    ("args", "code", "says"),
    [
        (["--port", "x"], 2, "Invalid value for '--port'"),
        (["--prot", "1"], 2, "No such option '--prot'"),
        (["--script", "ttft_ms=1"], 2, "--script is for --engine scripted"),
        (["--uds", "/no/such/folder/s"], 1, "cannot listen on --uds /no/such/folder/s"),
    ],
)
def test_errors_are_objects_where_the_log_is_json(args: list[str], code: int, says: str, form: list[str]) -> None:
    result = CliRunner().invoke(cli, [*args, *form])
    assert result.exit_code == code
    line = json.loads(result.output)
    assert line["level"] == "ERROR"
    assert says in line["message"]


def test_an_empty_variable_does_not_open_the_server() -> None:
    result = CliRunner().invoke(cli, ["--port", "0"], env={"STREAMGAUGE_API_KEY": ""})
    assert result.exit_code == 2
    assert result.output == (
        "Error: STREAMGAUGE_API_KEY is set but empty: set it to a key, or unset it to accept every request\n"
    )


@pytest.mark.parametrize("args", [["--version"], ["deploy", "--version"]])
def test_each_command_tells_its_version(args: list[str]) -> None:
    result = CliRunner().invoke(cli, args)
    assert (result.exit_code, result.output) == (0, f"{version_line()}\n")


@pytest.mark.parametrize("args", [["--version"], ["-V"], ["deploy", "--version"]])
def test_the_console_script_tells_its_version(args: list[str]) -> None:
    command = [sys.executable, "-c", "from streamgauge.console import main; main()", *args]
    result = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, timeout=60, check=False)
    assert (result.returncode, result.stdout, result.stderr) == (0, f"{version_line()}\n", "")


@pytest.mark.parametrize("args", [["--help"], ["deploy", "--help"]])
def test_commands_have_help(args: list[str]) -> None:
    result = CliRunner().invoke(cli, args)
    assert result.exit_code == 0
    assert "deploy" in result.output


def test_a_script_is_read_with_its_defaults() -> None:
    assert parse_script("") == {"ttft_ms": 200.0, "itl_ms": 20.0}
    assert parse_script("itl_ms=0.5") == {"ttft_ms": 200.0, "itl_ms": 0.5}


@pytest.mark.parametrize("name", ["sim", "scripted"])
def test_engines_are_made_by_name(name: str) -> None:
    engine = make_engine(name, ServedModel("m"), SimulatedOptions(max_model_len=77))
    assert engine.info.name == name
    assert engine.info.max_model_len == 77


def test_batch_limits_change_the_profile() -> None:
    assert make_engine("sim", ServedModel("m"), SimulatedOptions(max_num_seqs=5000)).info.profile == "demo"
    with pytest.raises(EngineOptionError, match="at least 256, the sequences that run at once"):
        make_engine("sim", ServedModel("m"), SimulatedOptions(max_num_batched_tokens=100))
