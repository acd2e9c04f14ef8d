"""The command line as tests use it: options to settings, or to the line that refuses them."""

from __future__ import annotations

import os
from unittest import mock

import click

from bench.cli.load_test import load_test
from bench.cli.usage_errors import explain
from bench.load.settings import LoadSettings, UsageError


def parse(*arguments: str, **environment: str) -> LoadSettings:
    with mock.patch.dict(os.environ, environment, clear=True):
        settings = load_test.main(list(arguments), prog_name="bench", standalone_mode=False, obj=list(arguments))
    assert isinstance(settings, LoadSettings)
    return settings


def refusal(*arguments: str, **environment: str) -> str:
    try:
        parse(*arguments, **environment)
    except UsageError as error:
        return str(error)
    except click.ClickException as error:
        return explain(error, arguments)
    raise AssertionError("accepted")


URL = ("--base-url", "http://h:1")
