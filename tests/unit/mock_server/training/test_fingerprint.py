from __future__ import annotations

from pathlib import Path

from mock_server.training.fingerprint import fingerprint
from tests.support.checkpoints import write_base


def test_the_same_files_have_the_same_fingerprint_wherever_they_are(tmp_path: Path) -> None:
    assert fingerprint(write_base(tmp_path / "a")) == fingerprint(write_base(tmp_path / "b"))


def test_other_weights_of_the_same_shape_have_another(tmp_path: Path) -> None:
    one, other = write_base(tmp_path / "a"), write_base(tmp_path / "b")
    weights = other / "model.safetensors"
    data = bytearray(weights.read_bytes())
    data[-1] ^= 1
    weights.write_bytes(data)
    assert fingerprint(one) != fingerprint(other)


def test_another_configuration_has_another(tmp_path: Path) -> None:
    one, other = write_base(tmp_path / "a"), write_base(tmp_path / "b")
    (other / "config.json").write_text('{"model_type": "qwen2"}')
    assert fingerprint(one) != fingerprint(other)
