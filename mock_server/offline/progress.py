"""An optional progress bar on standard error, drawn by rich."""

from __future__ import annotations

import contextlib
from collections.abc import Callable, Iterator

from streamgauge.install import install_command


@contextlib.contextmanager
def progress_bar(total: int, *, is_wanted: bool) -> Iterator[Callable[[int], None]]:
    """Yields a function that takes the number of finished rows. Raises `ImportError` with what to install."""
    if not is_wanted:
        yield lambda done: None
        return
    try:
        from rich.console import Console
        from rich.progress import BarColumn, MofNCompleteColumn, Progress, TimeElapsedColumn, TimeRemainingColumn
    except ImportError as error:
        raise ImportError(f"use_tqdm=True needs rich for its progress bar: {install_command('progress')}") from error
    columns = (BarColumn(), MofNCompleteColumn(), TimeElapsedColumn(), TimeRemainingColumn())
    # output of the program in the loop over a stream stays unchanged
    console = Console(stderr=True)
    with Progress(*columns, console=console, redirect_stdout=False, redirect_stderr=False) as progress:
        task = progress.add_task("rows", total=total)
        yield lambda done: progress.update(task, completed=done)
