"""Runs `infer` once its options are read: finds the questions, then the model, and sees to the end of both."""

from __future__ import annotations

import contextlib
import os
import signal
import sys
import tempfile
from collections.abc import Iterator, Mapping
from importlib.util import find_spec
from pathlib import Path
from typing import Any, TextIO

import click

from mock_server.commands.engine_choice import kind_of
from mock_server.commands.infer_dataset import Evaluation, read_evaluation
from mock_server.commands.model_access import OwnModel, RunningServer, reach, read_access
from mock_server.commands.wrong_use import DeployError, WrongUseError
from mock_server.dataset.rows import DatasetError
from mock_server.embedded.endpoint import Endpoint
from mock_server.embedded.own_output import own_output
from mock_server.engine.wording import Setting
from mock_server.infer import session
from mock_server.infer.results_file import ResultsError, ResultsFile
from mock_server.infer.summary import summarize, summary_text
from mock_server.infer.terminal import Terminal
from streamgauge.install import install_command

_INTERRUPTED = 130
_EXTRA = "infer"
_GO_ON = "run the same command again to go on"

Access = RunningServer | OwnModel


def run(ctx: click.Context) -> int:
    """The exit code. Raises `ClickException`."""
    options = ctx.params
    try:
        access = read_access(ctx)
        evaluation = read_evaluation(options, access)
        question = _question(options, evaluation)
        with _unwinding_when_told_to_end(), _terminal(access, verbose=options["verbose"]) as terminal:
            if evaluation is not None:
                return _evaluate(evaluation, access, terminal)
            with _reached(access, terminal) as endpoint:
                if question is not None:
                    session.ask(endpoint, question, terminal)
                else:
                    session.chat(endpoint, terminal, os.environ)
                return 0
    except (DeployError, DatasetError) as error:
        raise WrongUseError(str(error)) from None
    except BrokenPipeError:  # whoever reads the answer has enough of it
        return 0
    except KeyboardInterrupt:
        return _INTERRUPTED


def _question(options: Mapping[str, Any], evaluation: Evaluation | None) -> str | None:
    """The one question; None for a chat or an evaluation. Raises `DeployError` and `ClickException`."""
    query: str | None = options["query"]
    if evaluation is not None:
        if query is not None:
            raise DeployError(Setting("query"), " is not for an evaluation: leave it out, or the dataset")
        _check_installed("rouge_score", "rich")
        return None
    if query is None and not sys.stdin.isatty():
        return _standard_input()
    if query is None:
        _check_installed("prompt_toolkit")
    return query


def _standard_input() -> str:
    """Raises `WrongUseError`."""
    try:
        text = sys.stdin.buffer.read().decode("utf-8")
    except UnicodeDecodeError as error:
        raise WrongUseError(f"standard input is not text in UTF-8 (byte {error.start + 1})") from None
    if not text.strip():
        raise WrongUseError("standard input has no question: write one to it, or name one with --query TEXT")
    return text.removesuffix("\n")


def _check_installed(*packages: str) -> None:
    """Raises `ClickException`."""
    missing = [name.replace("_", "-") for name in packages if find_spec(name) is None]
    if missing:
        raise click.ClickException(f"this needs {' and '.join(missing)}: {install_command(_EXTRA)}")


def _evaluate(evaluation: Evaluation, access: Access, terminal: Terminal) -> int:
    """The results are opened before a model is loaded in this process: they may be of another run, or complete."""
    with contextlib.ExitStack() as stack:
        endpoint = None if isinstance(access, OwnModel) else stack.enter_context(_reached(access, terminal))
        with _told():
            model = access.model if endpoint is None else session.find_model(endpoint)
            named = {"model": model, **evaluation.run}
            results = stack.enter_context(ResultsFile(evaluation.result_path, named, overwrite=evaluation.overwrite))
        before, total = len(results.results), len(evaluation.samples)
        if before:
            terminal.note(f"{before:,} of {total:,} rows were answered before: {results.path}")
        try:
            if before < total:
                endpoint = endpoint or stack.enter_context(_reached(access, terminal))
                with _told():
                    session.evaluate_rows(endpoint, evaluation.samples, results, evaluation.at_once, terminal)
        except BaseException as error:
            terminal.passing("")  # in place of the terminal's ^C
            if len(results.results) > before:
                _conclude(evaluation, results, terminal)
            if isinstance(error, KeyboardInterrupt):
                terminal.note(f"interrupted after {len(results.results):,} of {total:,} rows: {_GO_ON}")
                return _INTERRUPTED
            raise
        return _conclude(evaluation, results, terminal)


def _conclude(evaluation: Evaluation, results: ResultsFile, terminal: Terminal) -> int:
    """The exit code: 1 if rows have failed."""
    summary = summarize(results.results.values())
    with _told():
        results.conclude(summary)
    terminal.line(summary_text(summary))
    terminal.line(f"results: {results.path}")
    failed = summary["num_failed"]
    if failed:
        terminal.note(
            f"{failed:,} of {len(evaluation.samples):,} rows failed; the same command asks them again. The reasons are"
            " in the results, under error"
        )
    return 1 if failed else 0


@contextlib.contextmanager
def _reached(access: Access, terminal: Terminal) -> Iterator[Endpoint]:
    if isinstance(access, OwnModel) and access.deployment.model.path:
        terminal.passing(f"loading {access.deployment.model.path} …")
    with contextlib.ExitStack() as stack:
        try:
            endpoint = stack.enter_context(reach(access))
        finally:
            terminal.passing("")
        with _told():
            yield endpoint


@contextlib.contextmanager
def _told() -> Iterator[None]:
    try:
        yield
    except session.SessionError as error:
        kind = WrongUseError if error.is_wrong_use else click.ClickException
        raise kind(str(error)) from None
    except ResultsError as error:
        raise click.ClickException(str(error)) from None


@contextlib.contextmanager
def _unwinding_when_told_to_end() -> Iterator[None]:
    """SIGTERM, and the end of the terminal, also end the processes of a model."""

    def end(number: int, frame: object) -> None:
        sys.exit(128 + number)

    numbers = (signal.SIGTERM, signal.SIGHUP)
    heeded = [number for number in numbers if signal.getsignal(number) is not signal.SIG_IGN]  # nohup ignores one
    before = {number: signal.signal(number, end) for number in heeded}
    try:
        yield
    finally:
        for number, handler in before.items():
            signal.signal(number, handler)


@contextlib.contextmanager
def _terminal(access: Access, *, verbose: bool) -> Iterator[Terminal]:
    """What the engine of a real model writes goes to a log, which is kept if something fails."""
    if not (isinstance(access, OwnModel) and kind_of(access.deployment.engine).runs_models):
        with _quiet_after_a_broken_pipe(sys.stdout):
            yield Terminal(sys.stdout, sys.stderr, os.environ)
        return
    with contextlib.ExitStack() as stack:
        log = Path("/dev/stderr") if verbose else stack.enter_context(_kept_if_needed())
        output = stack.enter_context(own_output(log))
        with _quiet_after_a_broken_pipe(output.out):
            yield Terminal(*output, os.environ)


@contextlib.contextmanager
def _quiet_after_a_broken_pipe(out: TextIO) -> Iterator[None]:
    """Python writes what is left in the stream when it ends, and would complain."""
    try:
        yield
    except BrokenPipeError:
        nowhere = os.open(os.devnull, os.O_WRONLY)
        os.dup2(nowhere, out.fileno())
        os.close(nowhere)
        raise


@contextlib.contextmanager
def _kept_if_needed() -> Iterator[Path]:
    """A file that is removed at the end, unless a failure may be explained there: then the error names it."""
    file, name = tempfile.mkstemp(prefix="streamgauge-infer-", suffix=".log")
    os.close(file)
    log = Path(name)
    is_kept = False
    try:
        yield log
    except click.ClickException as error:
        is_kept = error.exit_code == 1 and log.stat().st_size > 0
        if not is_kept:
            raise
        raise click.ClickException(f"{error.format_message()} (log: {log})") from None
    finally:
        if not is_kept:
            log.unlink(missing_ok=True)
