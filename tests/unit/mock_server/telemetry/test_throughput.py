from __future__ import annotations

import pytest

from mock_server.telemetry.throughput import Throughput


def test_the_six_keys_and_their_arithmetic() -> None:
    throughput = Throughput()
    throughput.add(10, 19)
    throughput.add(5, 1)
    figures = throughput.take()
    assert list(figures) == [
        "num_prompt_tokens", "num_generated_tokens", "num_samples", "runtime", "samples/s", "tokens/s",
    ]  # fmt: skip
    assert (figures["num_prompt_tokens"], figures["num_generated_tokens"], figures["num_samples"]) == (15, 20, 2)
    assert figures["tokens/s"] == pytest.approx(10 * figures["samples/s"], rel=1e-3)


def test_a_window_is_taken_once() -> None:
    throughput = Throughput()
    assert throughput.take() == {}
    throughput.add(1, 1)
    assert throughput.take()["num_samples"] == 1
    assert throughput.take() == {}
