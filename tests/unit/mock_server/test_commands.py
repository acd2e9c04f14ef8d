import pytest
from click.testing import CliRunner
from hypothesis import given
from hypothesis import strategies as st

from mock_server.commands import cli
from mock_server.commands.arguments import repeat_option
from mock_server.engine.factories import parse_script
from mock_server.engine.registry import ENGINES, EngineOptionError, EngineOptions, make_engine


@pytest.mark.parametrize(
    ("args", "expanded"),
    [
        (["--x", "a", "b", "--y", "c"], ["--x", "a", "--x", "b", "--y", "c"]),
        (["--x", "a", "--x", "b"], ["--x", "a", "--x", "b"]),
        (["--x=a", "b"], ["--x=a", "--x", "b"]),
        (["--y", "a", "b"], ["--y", "a", "b"]),
        (["--x"], ["--x"]),
        (["--x_z", "a", "b"], ["--x_z", "a", "--x-z", "b"]),
        ([], []),
    ],
)
def test_several_values_are_the_option_repeated(args: list[str], expanded: list[str]) -> None:
    assert repeat_option(args, {"--x", "--x-z"}) == expanded


@given(st.lists(st.sampled_from(["--x", "--y", "--x=1", "-v", "a", "b"])))
def test_repeating_an_option_adds_nothing_else(args: list[str]) -> None:
    expanded = repeat_option(args, {"--x"})
    kept = iter(expanded)
    assert all(arg in kept for arg in args)  # in order
    assert len(expanded) - len(args) == expanded.count("--x") - args.count("--x")


@pytest.mark.parametrize(
    ("args", "says"),
    [
        (["--prot", "1"], "Did you mean one of: '--host', '--port'"),
        (["deplyo"], "No such command 'deplyo'"),
        (["deploy", "extra"], "unexpected extra argument"),
        (["--port", "70000"], "70000"),
        (["--profile", "demos"], "Did you mean demo?"),
        (["--engine", "simm"], "Did you mean sim?"),
        (["--script", "ttft_ms=1"], "--script is for --engine scripted"),
        (["--engine", "scripted", "--profile", "demo"], "--profile is for --engine sim"),
        (["--engine", "scripted", "--script", "ttft=1"], "--script knows ttft_ms and itl_ms, not 'ttft'"),
        (["--engine", "scripted", "--script", "ttft_ms=x"], "must be a number of milliseconds (got 'x')"),
        (["--engine", "scripted", "--script", "itl_ms=-1"], "must be at least 0"),
        (["--time-scale", "0"], "time_scale must be above 0"),
        (["--max-num-seqs", "9", "--max-num-batched-tokens", "8"], "max_num_batched_tokens must be at least"),
        (["--model_type", "qwen-7b-chat"], "--model-type qwen-7b-chat names a real model"),
        (["--ckpt_dir", "/x"], "say --engine sim as well, or leave --ckpt-dir out"),
        (["--lora-modules", "a=/x", "a=/y"], "'a' is given twice"),
        (["--lora-modules", "=/x"], "has no name"),
        (["--lora-modules", '{"path": "/x"}'], "not an object with name and path"),
        (["--no-chat", "perhaps"], "perhaps"),
    ],
)
def test_wrong_use_says_what_is_wrong_and_exits_with_2(args: list[str], says: str) -> None:
    result = CliRunner().invoke(cli, args)
    assert result.exit_code == 2
    assert says in " ".join(result.output.split())


@pytest.mark.parametrize("args", [["--help"], ["deploy", "--help"]])
def test_help_is_there(args: list[str]) -> None:
    result = CliRunner().invoke(cli, args)
    assert result.exit_code == 0
    assert "deploy" in result.output


def test_a_script_is_read_with_its_defaults() -> None:
    assert parse_script("") == {"ttft_ms": 200.0, "itl_ms": 20.0}
    assert parse_script("itl_ms=0.5") == {"ttft_ms": 200.0, "itl_ms": 0.5}


@pytest.mark.parametrize("name", ENGINES)
def test_engines_are_made_by_name(name: str) -> None:
    engine = make_engine(name, EngineOptions(model="m", max_model_len=77))
    assert engine.info.name == name
    assert engine.info.max_model_len == 77


def test_batch_limits_change_the_profile() -> None:
    assert make_engine("sim", EngineOptions(model="m", max_num_seqs=5000)).info.profile == "demo"
    with pytest.raises(EngineOptionError, match="at least max_num_seqs"):
        make_engine("sim", EngineOptions(model="m", max_num_batched_tokens=100))
