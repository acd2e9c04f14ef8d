"""Scripts without `if __name__ == "__main__"` may start processes, as the page's programs do.

A process that is spawned begins by running its parent's script once more, for functions of that script that it might
be given. vLLM's processes are given none; running the script there would start the engine anew, without end.
"""

from __future__ import annotations

import contextlib
import sys
from collections.abc import Iterator
from typing import Any


@contextlib.contextmanager
def hidden_main() -> Iterator[None]:
    """Processes that are spawned meanwhile do not run the script."""
    main: Any = sys.modules["__main__"]
    spec, file = getattr(main, "__spec__", None), getattr(main, "__file__", None)
    main.__spec__ = None
    if file is not None:
        del main.__file__  # None in its place would be a module that `inspect` cannot look through, and torch does
    try:
        yield
    finally:
        main.__spec__ = spec
        if file is not None:
            main.__file__ = file
