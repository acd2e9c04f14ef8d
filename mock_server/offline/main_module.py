"""Lets scripts without `if __name__ == "__main__"` start processes, as programs on ms-swift's page do.

A spawned process first runs its parent's script again, because it may get functions of that script. vLLM's processes
get none, and running the script there would start the engine again, endlessly.
"""

from __future__ import annotations

import contextlib
import sys
from collections.abc import Iterator
from typing import Any


@contextlib.contextmanager
def hidden_main() -> Iterator[None]:
    """Processes spawned in this block do not run the script."""
    main: Any = sys.modules["__main__"]
    spec, file = getattr(main, "__spec__", None), getattr(main, "__file__", None)
    main.__spec__ = None
    if file is not None:
        del main.__file__  # not None: `inspect` cannot examine such a module, and torch uses it
    try:
        yield
    finally:
        main.__spec__ = spec
        if file is not None:
            main.__file__ = file
