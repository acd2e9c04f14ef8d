from __future__ import annotations

import pytest

from mock_server.training.log_line import duration, progress_line, record


def test_a_line_has_loss_rate_and_time_left() -> None:
    found = record({"loss": "1.5", "learning_rate": 5e-4, "epoch": 0.25, "num_tokens": 9}, 3, 12, 4.04)
    assert found == {
        "step": 3, "max_steps": 12, "loss": 1.5, "learning_rate": 5e-4, "epoch": 0.25, "elapsed_s": 4.0,
    }  # fmt: skip
    assert progress_line(found, 90) == "step 3/12  loss 1.5000  lr 0.0005  epoch 0.25  1 min 30 s left"


def test_the_summary_at_the_end_is_left_out() -> None:
    assert record({"train_runtime": 3.0, "mean_token_accuracy": 0.8, "epoch": 1.0}, 3, 3, 1) is None


@pytest.mark.parametrize(("seconds", "shown"), [(0.4, "0 s"), (59.6, "1 min 0 s"), (3700, "1 h 1 min")])
def test_durations_are_for_people(seconds: float, shown: str) -> None:
    assert duration(seconds) == shown
