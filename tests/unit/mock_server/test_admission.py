from __future__ import annotations

import asyncio

import pytest

from mock_server.admission import Admission
from mock_server.errors import ApiError


def test_after_close_requests_in_progress_may_finish_and_new_ones_are_refused() -> None:
    async def main() -> None:
        admission = Admission()
        await admission.wait_until_empty()
        with admission.one(), admission.one():
            admission.close()
            waiting = asyncio.create_task(admission.wait_until_empty())
            await asyncio.sleep(0)
            assert (admission.under_way, waiting.done()) == (2, False)
            with pytest.raises(ApiError, match="shutting down") as caught, admission.one():
                pass
            assert (caught.value.status, caught.value.headers) == (503, {"retry-after": "1"})
        await waiting
        assert admission.under_way == 0

    asyncio.run(main())
