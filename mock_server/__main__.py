"""`python -m mock_server`: the command line, `deploy` where no subcommand is said."""

import sys
from importlib.util import find_spec

_NEEDED = ("click", "pydantic", "starlette", "uvicorn", "httptools")


def main() -> None:
    missing = [name for name in _NEEDED if find_spec(name) is None]
    if missing:
        sys.exit(f"error: the server needs {', '.join(missing)}: pip install 'streamgauge[server]'")
    from .commands import cli

    cli(prog_name="python -m mock_server")


if __name__ == "__main__":
    main()
