"""`python -m bench`."""

from __future__ import annotations

import sys

_EXTRA = {"click", "msgspec", "numpy"}

if __name__ == "__main__":
    try:
        from bench.cli.main import main
    except ModuleNotFoundError as error:
        if error.name not in _EXTRA:
            raise
        sys.exit(f"error: {error.name} is missing, which the bench needs: pip install 'streamgauge[bench]'")
    main()
