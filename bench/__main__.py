"""`python -m bench`."""

from __future__ import annotations

import sys
from importlib.util import find_spec

from streamgauge.install import install_command

# Packages of the extra by import name; some are first needed when the load is over, which is too late to find out.
_NEEDED = {"click": "click", "msgspec": "msgspec", "numpy": "numpy", "yaml": "PyYAML"}

if __name__ == "__main__":
    missing = [package for name, package in _NEEDED.items() if find_spec(name) is None]
    try:
        if not missing:
            from bench.cli.main import main
    except ModuleNotFoundError as error:
        if error.name not in _NEEDED:
            raise
        missing = [_NEEDED[error.name]]
    if missing:
        sys.exit(f"error: the bench needs {', '.join(missing)}: {install_command('bench')}")
    main()
