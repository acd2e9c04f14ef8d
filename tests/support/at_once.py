"""Several things at the same time, so that what takes a second takes a second altogether."""

from __future__ import annotations

import threading
from collections.abc import Callable, Mapping
from time import monotonic
from typing import Any, TypeVar

AT_MOST_S = 30.0
Name = TypeVar("Name")


def at_once(cases: Mapping[Name, Callable[[], Any]]) -> dict[Name, Any]:
    """What each gives, run in a thread of its own. Raises what one of them raises, or if one does not end."""
    results: dict[Name, Any] = {}
    errors: list[BaseException] = []

    def run(name: Name, case: Callable[[], Any]) -> None:
        try:
            results[name] = case()
        except BaseException as error:
            errors.append(error)

    # no pool: one that hangs would hold up the end of the tests
    threads = {name: threading.Thread(target=run, args=(name, case), daemon=True) for name, case in cases.items()}
    for thread in threads.values():
        thread.start()
    until = monotonic() + AT_MOST_S
    for thread in threads.values():
        thread.join(max(0.0, until - monotonic()))
    if errors:
        raise errors[0]
    late = [name for name, thread in threads.items() if thread.is_alive()]
    assert not late, f"still running after {AT_MOST_S} s: {late}"
    return {name: results[name] for name in cases}
