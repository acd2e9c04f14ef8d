"""`python -m mock_server`: the command line. Without a subcommand it is `deploy`."""

from __future__ import annotations

import sys
from importlib.util import find_spec
from pathlib import Path

from streamgauge.install import install_command

_NEEDED = ("click", "fastapi", "httptools", "prometheus_client", "pydantic", "uvicorn", "yaml")
_SCRIPT = "streamgauge"


def main() -> None:
    missing = [name for name in _NEEDED if find_spec(name) is None]
    if missing:
        sys.exit(f"error: the server needs {', '.join(missing)}: {install_command('server')}")
    from mock_server.commands import cli

    cli(prog_name=_command_used())


def _command_used() -> str:
    """The command that the user typed, for usage lines: the script that runs this module, or the module."""
    typed = [Path(argument).name for argument in sys.orig_argv[1:2]]
    return _SCRIPT if typed == [_SCRIPT] else "python -m mock_server"


if __name__ == "__main__":
    main()
