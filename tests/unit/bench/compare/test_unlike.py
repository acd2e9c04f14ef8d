from __future__ import annotations

import pytest

from bench.compare.unlike import MAY_DIFFER, unlike
from tests.unit.bench.runs import run


@pytest.mark.parametrize(
    ("first", "second", "option", "values"),
    [
        ({"streams": 64}, {"streams": 32}, "--concurrency", ("64", "32")),
        ({"output_len": 128}, {"output_len": 64}, "--output-len", ("128", "64")),
        ({"plan": "closed"}, {"plan": "open", "rate": 4.0}, "--request-rate", ("none", "4")),
        (
            {"plan": "open", "rate": 4.0, "burstiness": 0.5},
            {"plan": "open", "rate": 4.0},
            "--burstiness",
            ("0.5", "none"),
        ),
        ({"streamed": True}, {"streamed": False}, "--stream", ("yes", "no")),
        ({"prompts": "4 prompts"}, {"prompts": "synthetic"}, "--prompts", ("4 prompts", "synthetic")),
        ({"cache": "bust"}, {"cache": "keep"}, "--cache", ("bust", "keep")),
    ],
)
def test_the_option_and_its_values_are_named(
    first: dict[str, object], second: dict[str, object], option: str, values: tuple[str, ...]
) -> None:
    assert unlike([run(load=first), run(load=first), run(load=second)]) == {option: values}
    assert option.removeprefix("--") in MAY_DIFFER


def test_another_endpoint_is_another_plan() -> None:
    completions = run()
    completions.target.kind = "completions"
    assert unlike([run(), completions]) == {"--endpoint": ("chat", "completions")}


def test_longer_runs_other_seeds_and_other_servers_are_the_same_plan() -> None:
    other = run(load={"seed": 8, "duration_s": 99.0, "requests": 5, "nonce": "ab"})
    other.target.url, other.target.model = "http://other:2/v1", "other"
    assert unlike([run(), other]) == {}
