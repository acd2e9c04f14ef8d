"""The number of connections that a number of file descriptors allows."""

from __future__ import annotations

import pytest

from mock_server.process.descriptors import reserve, room


@pytest.mark.parametrize(("descriptors", "connections"), [(256, 192), (1024, 896), (4096, 3584), (32, 8)])
def test_some_descriptors_are_set_aside(descriptors: int, connections: int) -> None:
    assert room(descriptors) == connections
    assert reserve(descriptors) >= 64
