from __future__ import annotations

import asyncio

import pytest

from mock_server.admission import Traffic
from mock_server.errors import ApiError


def test_what_is_inside_may_finish_and_nothing_new_comes_in() -> None:
    async def main() -> None:
        traffic = Traffic()
        await traffic.wait_until_empty()
        with traffic.one(), traffic.one():
            traffic.close()
            waiting = asyncio.create_task(traffic.wait_until_empty())
            await asyncio.sleep(0)
            assert (traffic.under_way, waiting.done()) == (2, False)
            with pytest.raises(ApiError, match="shutting down") as caught, traffic.one():
                pass
            assert (caught.value.status, caught.value.headers) == (503, {"retry-after": "1"})
        await waiting
        assert traffic.under_way == 0

    asyncio.run(main())
