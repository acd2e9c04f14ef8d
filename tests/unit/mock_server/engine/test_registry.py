"""The table of engines, and the kind in each row."""

from __future__ import annotations

import subprocess
import sys

import click
import pytest

from mock_server.commands.deploy import deploy
from mock_server.engine.errors import EngineOptionError
from mock_server.engine.kind import ServedModel
from mock_server.engine.options import described
from mock_server.engine.registry import ENGINES, FOR_MODELS, WITHOUT_MODEL, find_kind, make_engine
from tests.support.serving import ROOT


@pytest.mark.parametrize("name", ENGINES)
def test_each_option_of_an_engine_is_an_option_of_deploy(name: str) -> None:
    on_command_line = {param.name: param for param in deploy.params if isinstance(param, click.Option)}
    for option in described(find_kind(name).options):
        param = on_command_line[option.name]
        assert param.help is not None
        assert param.help.startswith(option.help)
        assert param.section == option.heading  # type: ignore[attr-defined]
        assert not param.engines or name in param.engines  # type: ignore[attr-defined]


def test_the_default_engines_run_what_they_are_for() -> None:
    assert find_kind(FOR_MODELS).runs_models
    assert not find_kind(WITHOUT_MODEL).runs_models


def test_an_unknown_engine_gets_the_nearest_name() -> None:
    with pytest.raises(EngineOptionError, match=r"--engine simm is not known; .* Did you mean sim\?"):
        make_engine("simm", ServedModel("m"))


def test_describing_the_engines_imports_none_of_them() -> None:
    code = (
        "import sys; from mock_server.engine.registry import ENGINES, find_kind;"
        "[find_kind(name) for name in ENGINES]; print(*sys.modules)"
    )
    loaded = subprocess.run([sys.executable, "-c", code], cwd=ROOT, capture_output=True, text=True, check=True).stdout
    engines = {f"mock_server.engine.{module}" for module in ("vllm.engine", "sim.simulated", "sim.scripted")}
    assert not {*loaded.split()} & {*engines, "vllm", "torch", "transformers", "asyncio"}
