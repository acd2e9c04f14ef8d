from __future__ import annotations

import asyncio

import pytest

from mock_server.admission import Admission
from mock_server.errors import ApiError


def test_bodies_that_are_being_read_at_the_close_or_after_it_run_out_of_time() -> None:
    async def main() -> None:
        admission = Admission()
        with pytest.raises(TimeoutError):
            async with asyncio.timeout(None) as before:
                admission.begin_reading(before)
                admission.close()
                await asyncio.Event().wait()
        with pytest.raises(TimeoutError):
            async with asyncio.timeout(None) as after:
                admission.begin_reading(after)
                await asyncio.Event().wait()

    asyncio.run(main())


def test_too_many_choices_are_refused_and_a_single_request_never_is() -> None:
    refused: list[int] = []
    admission = Admission(max_choices=10, on_refusal=lambda: refused.append(1))
    with admission.choices(12) as alone:
        with pytest.raises(ApiError) as caught, admission.choices(1):
            pass
        assert (caught.value.status, len(refused)) == (429, 1)
        alone.resize(4)
        with admission.choices(6) as other, pytest.raises(ApiError):
            other.resize(7)
        with admission.choices(6) as other:
            assert other.count == 6


def test_if_answers_grow_beyond_the_limit_only_large_ones_are_refused() -> None:
    admission = Admission(max_choices=64)
    with admission.choices(1) as small, admission.choices(63) as large:
        small.grow(1)
        with pytest.raises(ApiError) as caught:
            large.grow(1)
        assert (caught.value.status, large.count, small.count) == (429, 0, 2)
        with admission.choices(62):
            small.grow(0)


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
