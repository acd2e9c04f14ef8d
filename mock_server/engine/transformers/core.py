"""The thread in which the model lives, as the event loop sees it: requests go in, outcomes of steps come out."""

from __future__ import annotations

import asyncio
import gc
import logging
import queue
import threading
from collections.abc import Callable
from typing import Any

from mock_server.engine.errors import EngineDeadError
from mock_server.engine.transformers.alignment import Room
from mock_server.engine.transformers.batch import ContinuousBatch
from mock_server.engine.transformers.loading import Loaded, load
from mock_server.engine.transformers.model import CausalModel
from mock_server.engine.transformers.options import ModelArguments
from mock_server.engine.transformers.outcome import Outcome
from mock_server.engine.transformers.row import BatchRequest

_log = logging.getLogger(__name__)


class _StoppedError(Exception):
    """The thread has been asked to end."""


class TransformersCore:
    """Calls `on_outcome` and `on_death` in the event loop, once for each step and at most once altogether."""

    def __init__(
        self,
        arguments: ModelArguments,
        *,
        on_outcome: Callable[[Outcome], None],
        on_death: Callable[[], None],
    ) -> None:
        self._arguments = arguments
        self._on_outcome = on_outcome
        self._on_death = on_death
        self._loop = asyncio.get_running_loop()
        self._commands: queue.SimpleQueue[Callable[[], None]] = queue.SimpleQueue()
        self._is_wanted = True
        self._asked: set[asyncio.Future[None]] = set()
        self._loaded: asyncio.Future[Loaded] = self._loop.create_future()
        self._thread = threading.Thread(target=self._run, name="model", daemon=True)
        self.is_dead = False

    async def start(self) -> Loaded:
        """Loads the model. Raises whatever goes wrong; cancelled, it waits until nothing is left running."""
        self._thread.start()
        try:
            return await asyncio.shield(self._loaded)
        except asyncio.CancelledError:
            await self.stop()
            raise

    async def stop(self) -> None:
        """Ends the thread after the step that it is in."""
        self._is_wanted = False
        self._commands.put(_nothing)
        await asyncio.to_thread(self._thread.join)
        self._give_up_commands()

    def submit(self, request: BatchRequest) -> None:
        self._commands.put(lambda: self._batch.add(request))

    def wake(self) -> None:
        """Lets an idle thread see that a request was cancelled."""
        self._commands.put(_nothing)

    async def add_lora(self, name: str, number: int, path: str) -> str:
        """Returns the name of the adapter inside the model. Runs between two steps."""
        inner = f"lora_{number}"
        await self._call(lambda model: model.load_adapter(inner, path))
        return inner

    async def remove_lora(self, number: int) -> None:
        await self._call(lambda model: model.drop_adapter(f"lora_{number}"))

    async def _call(self, work: Callable[[CausalModel], None]) -> None:
        done: asyncio.Future[None] = self._loop.create_future()

        def command() -> None:
            self._batch.drop_cancelled()  # they may run on an adapter that is about to go
            try:
                work(self._model)
            except Exception as error:
                self._tell(_settle, done, None, error)
            else:
                self._tell(_settle, done, None, None)

        self._commands.put(command)
        self._asked.add(done)
        try:
            await done
        finally:
            self._asked.discard(done)

    def _give_up_commands(self) -> None:
        """The thread has ended, and will not carry them out."""
        for done in self._asked:
            _settle(done, None, EngineDeadError("the engine has ended"))

    def _run(self) -> None:
        try:
            loaded = load(self._arguments, lambda: self._is_wanted)
            self._model = loaded.model
            self._batch = ContinuousBatch(
                loaded.model,
                Room(self._arguments.max_num_seqs, loaded.facts.cache_cells),
                self._arguments.step_tokens(loaded.facts.device),
            )
        except BaseException as error:
            self._tell(_settle, self._loaded, None, error)
            return
        self._tell(_settle, self._loaded, loaded, None)
        del loaded
        try:
            self._step_for_ever()
        except _StoppedError:
            pass
        except BaseException:
            _log.exception("the engine died")
            self._tell(self._die)
        finally:
            del self._model, self._batch
            gc.collect()

    def _step_for_ever(self) -> None:
        while True:
            self._obey()
            outcome = self._batch.step()
            self._tell(self._on_outcome, outcome)

    def _obey(self) -> None:
        """Carries out what was asked for; waits if there is nothing to compute."""
        while True:
            try:
                command = self._commands.get(block=self._batch.is_idle)
            except queue.Empty:
                break
            command()
            if not self._is_wanted:
                raise _StoppedError
            self._batch.drop_cancelled()

    def _die(self) -> None:
        self.is_dead = True
        self._give_up_commands()
        self._on_death()

    def _tell(self, callback: Callable[..., None], *arguments: Any) -> None:
        """Calls back in the event loop, unless that has been closed meanwhile."""
        if not self._loop.is_closed():
            self._loop.call_soon_threadsafe(callback, *arguments)


def _nothing() -> None:
    """A command that only wakes the thread."""


def _settle(future: asyncio.Future[Any], result: Any, error: BaseException | None) -> None:
    if future.done():
        return
    if error is None:
        future.set_result(result)
    else:
        future.set_exception(error)
