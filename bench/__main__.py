"""`python -m bench`."""

from __future__ import annotations

import sys

from streamgauge.install import install_command

_EXTRA = {"click", "msgspec", "numpy"}

if __name__ == "__main__":
    try:
        from bench.cli.main import main
    except ModuleNotFoundError as error:
        if error.name not in _EXTRA:
            raise
        sys.exit(f"error: the bench needs {error.name}: {install_command('bench')}")
    main()
