from __future__ import annotations

import asyncio
from typing import Any, cast

import pytest

from mock_server.engine.errors import EngineDeadError, EngineError
from mock_server.engine.vllm.core_life import CoreLife


class Core:
    """What `CoreLife` uses of vLLM's core."""

    is_dead = False

    @staticmethod
    def translated(error: Exception) -> EngineError:
        return EngineDeadError(str(error)) if isinstance(error, EOFError) else EngineError(str(error))


def begun(core: Core) -> CoreLife:
    life = CoreLife()
    life.begin(cast(Any, core))
    return life


def test_before_the_start_nothing_can_be_served() -> None:
    life = CoreLife()
    with pytest.raises(EngineDeadError, match="not been started"):
        life.check()
    with pytest.raises(EngineDeadError, match="not been started"):
        _ = life.running
    assert life.end() is None


def test_the_end_hands_the_core_over_once_and_keeps_no_reference() -> None:
    core = Core()
    life = begun(core)
    assert life.running is cast(Any, core)
    assert life.end() is cast(Any, core)
    assert life.end() is None
    assert life.core is None
    with pytest.raises(EngineDeadError, match="was stopped"):
        life.check()


def test_a_core_that_has_died_serves_nothing_more() -> None:
    core = Core()
    life = begun(core)
    life.check()
    core.is_dead = True
    with pytest.raises(EngineDeadError, match="has died"):
        life.check()
    core.is_dead = False
    with pytest.raises(EngineDeadError, match="has died"):  # dead once, dead for good
        _ = life.running


def test_a_failed_stream_makes_a_death_known_before_the_next_look() -> None:
    async def run() -> None:
        core = Core()
        life = begun(core)
        waiting = asyncio.create_task(life.wait_until_dead())
        await asyncio.sleep(0)
        core.is_dead = True
        assert isinstance(life.translated(RuntimeError("no connection")), EngineDeadError)
        assert "has died" in str(await waiting)

    asyncio.run(run())


def test_a_failure_of_a_stopped_core_is_the_stop() -> None:
    life = begun(Core())
    assert str(life.translated(ValueError("bad"))) == "bad"
    assert isinstance(life.translated(EOFError("gone")), EngineDeadError)
    life.end()
    assert str(life.translated(ValueError("bad"))) == "the engine was stopped"
