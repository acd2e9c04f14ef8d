from __future__ import annotations

import copy
import pickle
from typing import get_type_hints

import pytest

from sdk.config import RequestFields, XRequestConfig
from sdk.errors import ConfigError
from sdk.request import snapshot


def test_only_what_is_set_is_sent() -> None:
    assert XRequestConfig().body() == {}
    assert XRequestConfig(seed=42).body() == {"seed": 42}
    assert XRequestConfig(temperature=0, max_tokens=None).body() == {"temperature": 0}
    assert XRequestConfig(n=1).body() == {"n": 1}


def test_a_config_may_change() -> None:
    config = XRequestConfig(seed=42)
    config.stream = True
    config.stop = "\n"  # one text is sent as a list of one
    assert config.body() == {"seed": 42, "stop": ["\n"], "stream": True}
    config.seed = None
    assert "seed" not in config.body()


def test_stop_is_a_text_or_any_sequence_of_texts() -> None:
    assert XRequestConfig(stop="ab").body() == {"stop": ["ab"]}
    assert XRequestConfig(stop=("a", "b")).body() == {"stop": ["a", "b"]}
    assert XRequestConfig(stop=None).body() == {}
    assert XRequestConfig.model_json_schema()["properties"]["stop"]["anyOf"][0] == {"type": "string"}
    assert snapshot(XRequestConfig(stop=("a", "b")))[0] == {"stop": ["a", "b"]}


def test_extra_body_takes_precedence_and_headers_are_not_in_the_body() -> None:
    config = XRequestConfig(top_k=5, extra_body={"top_k": 7, "new": 1}, extra_headers={"X": "y"})
    assert config.body() == {"top_k": 7, "new": 1}


def test_a_config_copies_and_pickles() -> None:
    config = XRequestConfig(seed=1, stream=True)
    assert pickle.loads(pickle.dumps(config)).body() == copy.deepcopy(config).body() == config.body()


@pytest.mark.parametrize(
    ("fields", "says"),
    [
        ({"temprature": 1}, "no field 'temprature': did you mean temperature"),
        ({"frobnicate": 1}, "extra_body"),
        ({"temperature": -1}, r"temperature: .*\(got -1\)"),
        ({"n": 0}, r"XRequestConfig.n: .*\(got 0\)"),
        ({"stop": 3}, r"stop: input should be a text or a list of texts \(got 3\)"),
        ({"stop": ["a", 3]}, r"got \['a', 3\]"),
        ({"top_p": 0, "max_tokens": 0}, "max_tokens.*; .*top_p"),
    ],
)
def test_an_error_names_the_invalid_field(fields: dict[str, object], says: str) -> None:
    with pytest.raises(ConfigError, match=says):
        XRequestConfig(**fields)  # type: ignore[arg-type]


def test_assignment_is_checked() -> None:
    config = XRequestConfig()
    with pytest.raises(ConfigError, match="got 'yes please'"):
        config.stream = "yes please"  # type: ignore[assignment]
    with pytest.raises(ConfigError, match="did you mean stream"):
        config.strem = True  # type: ignore[attr-defined]
    with pytest.raises(ValueError):
        config.n = 0


def test_the_constructor_types_and_the_fields_agree() -> None:
    typed = get_type_hints(RequestFields)
    fields = {name: field.annotation for name, field in XRequestConfig.model_fields.items() if name != "stream"}
    for penalty in ("presence_penalty", "frequency_penalty"):
        assert fields.pop(penalty) == typed.pop(penalty) == float | None
    assert fields == typed
