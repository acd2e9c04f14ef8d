"""A progress bar on standard error, by rich, for who asks for one."""

from __future__ import annotations

import contextlib
from collections.abc import Callable, Iterator

from streamgauge.install import install_command


@contextlib.contextmanager
def progress_bar(total: int, *, is_wanted: bool) -> Iterator[Callable[[int], None]]:
    """Yields what to tell how many rows have ended. Raises `ImportError` that says what to install."""
    if not is_wanted:
        yield lambda done: None
        return
    try:
        from rich.console import Console
        from rich.progress import BarColumn, MofNCompleteColumn, Progress, TimeElapsedColumn, TimeRemainingColumn
    except ImportError as error:
        raise ImportError(f"use_tqdm=True shows its bar with rich: {install_command('progress')}") from error
    columns = (BarColumn(), MofNCompleteColumn(), TimeElapsedColumn(), TimeRemainingColumn())
    # what the program prints in the loop over a stream stays where it prints it, as it prints it
    console = Console(stderr=True)
    with Progress(*columns, console=console, redirect_stdout=False, redirect_stderr=False) as progress:
        task = progress.add_task("rows", total=total)
        yield lambda done: progress.update(task, completed=done)
