from __future__ import annotations

from fractions import Fraction
from typing import Any

import pytest

from mock_server.offline import GenerationConfig


def test_the_defaults_are_those_of_ms_swifts_page() -> None:
    config = GenerationConfig()
    assert (config.max_new_tokens, config.temperature, config.top_k, config.top_p) == (64, 1, 50, 1)
    params = config.params(1000, whole=True)
    assert (params.max_tokens, params.temperature, params.top_k, params.n) == (64, 1, 50, 1)
    assert params.final_only


def test_a_models_own_defaults_replace_them() -> None:
    config = GenerationConfig.of_model({"temperature": 0.7, "top_k": 20, "max_tokens": 512, "unheard_of": 1})
    assert (config.temperature, config.top_k, config.max_new_tokens, config.top_p) == (0.7, 20, 512, 1)


def test_names_of_transformers_and_vllm_set_the_same_value() -> None:
    config = GenerationConfig()
    config.max_new_tokens = 256
    assert config.max_tokens == 256
    setattr(config, "max_tokens", 9)  # noqa: B010
    setattr(config, "num_return_sequences", 2)  # noqa: B010
    assert (config.max_new_tokens, config.n) == (9, 2)


def test_without_sampling_the_temperature_is_zero_and_is_restored_later() -> None:
    config = GenerationConfig(temperature=0.8, do_sample=False)
    assert config.params(10, whole=True).greedy
    config.do_sample = True
    assert config.params(10, whole=True).temperature == 0.8


def test_an_answer_gets_the_room_that_is_left() -> None:
    params = GenerationConfig(max_new_tokens=100, min_new_tokens=50).params(7, whole=False)
    assert (params.max_tokens, params.min_tokens, params.final_only) == (7, 7, False)


def test_stop_strings_are_checked_during_generation() -> None:
    config = GenerationConfig(stop="\n")
    assert config.stop == ("\n",)
    assert not config.params(10, whole=True).final_only


def test_top_k_of_zero_and_minus_one_mean_all_tokens() -> None:
    assert (
        GenerationConfig(top_k=-1).params(9, whole=True).top_k == GenerationConfig(top_k=0).params(9, whole=True).top_k
    )


@pytest.mark.parametrize(
    ("name", "value", "told"),
    [
        ("max_length", 20, "max_length cannot be set: it would include the prompt; set max_new_tokens"),
        ("num_beams", 4, "beam search is not supported"),
        ("skip_special_tokens", False, "never part of a response"),
        ("max_new_tokens", 0, r"max_new_tokens must be a whole number, at least 1 \(got 0\)"),
        ("top_p", 1.5, "top_p must be a number above 0 and at most 1 .got 1.5"),
        ("temperature", "hot", "temperature must be a number"),
        ("temperature", None, "temperature must be a number"),
        ("temperature", float("nan"), "temperature must be a number"),
        ("temperature", float("inf"), "temperature must be a number"),
        ("n", True, "n must be a whole number"),
        ("max_new_tokens", 2.5, "max_new_tokens must be a whole number"),
        ("top_k", 2.5, "top_k must be a whole number"),
        ("seed", "x", "seed must be a whole number"),
        ("seed", 2**70, "seed must be a whole number, from -9223372036854775808 to"),
        ("do_sample", "no", "do_sample must be True or False .got 'no'"),
        ("ignore_eos", None, "ignore_eos must be True or False"),
        ("stop", 5, "stop must be non-empty strings"),
        ("stop_token_ids", 5, "stop_token_ids must be a list of token ids .got 5"),
        ("stop_token_ids", ["a"], "stop_token_ids must be a list of token ids"),
        ("stop_token_ids", [-5], "stop_token_ids must be a list of token ids"),
        ("stop", [""], "must be non-empty strings"),
    ],
)
def test_an_invalid_value_is_refused_when_it_is_set(name: str, value: Any, told: str) -> None:
    config = GenerationConfig()
    before = GenerationConfig()
    with pytest.raises(ValueError, match=told):
        setattr(config, name, value)
    assert config == before


def test_numbers_of_other_kinds_become_plain_ones() -> None:
    """Numbers such as numpy's are neither int nor float, and engines accept no others."""
    config = GenerationConfig(temperature=Fraction(1, 2), max_new_tokens=8.0)  # type: ignore[arg-type]
    assert (type(config.temperature), config.temperature) == (float, 0.5)
    assert (type(config.max_new_tokens), config.max_new_tokens) == (int, 8)


def test_a_misspelt_name_is_refused_with_the_nearest() -> None:
    with pytest.raises(AttributeError, match="Did you mean temperature"):
        setattr(GenerationConfig(), "temprature", 1)  # noqa: B010
