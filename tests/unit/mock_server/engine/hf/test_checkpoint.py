from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest

from mock_server.engine.hf.checkpoint import has_four_bit_weights, read_json, tensor_shapes
from tests.support.checkpoints import BASE_SHAPES, write_base


def test_shapes_are_read_without_the_tensors(tmp_path: Path) -> None:
    assert tensor_shapes(write_base(tmp_path)) == BASE_SHAPES


def test_a_folder_without_safetensors_has_no_shapes(tmp_path: Path) -> None:
    assert tensor_shapes(tmp_path) == {}
    assert tensor_shapes(tmp_path / "none") == {}


@pytest.mark.parametrize("content", [b"", b"\xff" * 16])
def test_a_file_in_another_format_is_named(tmp_path: Path, content: bytes) -> None:
    (tmp_path / "model.safetensors").write_bytes(content)
    with pytest.raises(ValueError, match=r"model\.safetensors is not a safetensors file"):
        tensor_shapes(tmp_path)


@pytest.mark.parametrize(("content", "says"), [("{", "is not valid JSON"), ("[]", "must be a JSON object")])
def test_invalid_json_is_named(tmp_path: Path, content: str, says: str) -> None:
    file = tmp_path / "config.json"
    file.write_text(content)
    with pytest.raises(ValueError, match=says):
        read_json(file)


@pytest.mark.parametrize(
    ("said", "is_so"),
    [
        (None, False),
        ({"quant_method": "gptq", "bits": 4}, True),
        ({"quant_method": "gptq", "bits": 8}, False),
        ({"quant_method": "compressed-tensors", "config_groups": {"group_0": {"weights": {"num_bits": 4}}}}, True),
        ({"quant_method": "compressed-tensors", "config_groups": {"group_0": {"weights": {"num_bits": 8}}}}, False),
        ({"config_groups": {"group_0": None}}, False),
    ],
)
def test_weights_of_four_bits_are_told_by_the_configuration(tmp_path: Path, said: Any, is_so: bool) -> None:
    (tmp_path / "config.json").write_text(json.dumps({"quantization_config": said}))
    assert has_four_bit_weights(tmp_path) is is_so
