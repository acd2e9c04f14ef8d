from __future__ import annotations

from pathlib import Path

import pytest

from mock_server.engine.base import Adapter
from mock_server.engine.errors import AdapterError, AdapterNotFoundError
from mock_server.engine.hf.adapter_files import AdapterFiles
from mock_server.engine.lora_ranks import smallest_max_rank
from tests.support.checkpoints import BASE_SHAPES, write_adapter, write_base

Q_PROJ = "model.layers.0.self_attn.q_proj"


def read(folder: Path) -> AdapterFiles:
    return AdapterFiles.read(Adapter("tuner", str(folder)))


def test_an_adapter_is_read(tmp_path: Path) -> None:
    folder = write_adapter(tmp_path / "a", rank=4, rank_pattern={"q_proj": 32}, base="org/base")
    found = read(folder)
    assert (found.name, found.folder, found.rank, found.base) == ("tuner", folder, 32, "org/base")


@pytest.mark.parametrize("missing", ["adapter_config.json", "adapter_model.safetensors"])
def test_a_folder_without_adapter_files_is_not_an_adapter(tmp_path: Path, missing: str) -> None:
    folder = write_adapter(tmp_path / "a")
    (folder / missing).unlink()
    with pytest.raises(AdapterNotFoundError, match=f"adapter tuner: {folder} has no {missing}"):
        read(folder)


def test_a_missing_folder_is_not_an_adapter(tmp_path: Path) -> None:
    with pytest.raises(AdapterNotFoundError, match="does not exist"):
        read(tmp_path / "none")
    with pytest.raises(AdapterNotFoundError, match="the adapter tuner has no path"):
        AdapterFiles.read(Adapter("tuner"))


@pytest.mark.parametrize(
    ("config", "says"),
    [
        ({"peft_type": "IA3"}, "is of type IA3"),
        ({"use_dora": True}, "uses DoRA"),
        ({"bias": "all"}, "changes biases of the base model"),
        ({"modules_to_save": ["lm_head"]}, "uses modules trained in full"),
        ({"r": 0}, r"must be a positive integer up to 65536 \(got 0\)"),
        ({"rank_pattern": {"q_proj": "x"}}, "must be a positive integer"),
    ],
)
def test_an_adapter_that_no_engine_could_serve_is_refused(tmp_path: Path, config: dict[str, object], says: str) -> None:
    with pytest.raises(AdapterError, match=says):
        read(write_adapter(tmp_path / "a", **config))  # type: ignore[arg-type]


@pytest.mark.parametrize("content", ["{", "[]"])
def test_a_configuration_that_cannot_be_read_is_named(tmp_path: Path, content: str) -> None:
    folder = write_adapter(tmp_path / "a")
    (folder / "adapter_config.json").write_text(content)
    with pytest.raises(AdapterError, match=r"adapter tuner: .*adapter_config\.json"):
        read(folder)


def test_a_rank_that_is_too_large_has_a_remedy(tmp_path: Path) -> None:
    found = read(write_adapter(tmp_path / "a", rank=20))
    found.check_rank(32)
    with pytest.raises(
        AdapterError, match="has rank 20, and the engine takes at most 16: start it with --max-lora-rank 32"
    ):
        found.check_rank(16)


@pytest.mark.parametrize(("rank", "limit"), [(1, 1), (2, 8), (8, 8), (9, 16), (512, 512)])
def test_limits_on_ranks_are_those_of_vllm(rank: int, limit: int) -> None:
    assert smallest_max_rank(rank) == limit


def test_a_rank_above_every_limit_is_refused() -> None:
    with pytest.raises(AdapterError, match="rank 513 is above 512"):
        smallest_max_rank(513)


def test_an_adapter_fits_the_base_whose_matrices_it_changes(tmp_path: Path) -> None:
    base = write_base(tmp_path / "base")
    read(write_adapter(tmp_path / "a", base="base")).check_base(str(base))


@pytest.mark.parametrize(
    ("modules", "says"),
    [
        ({Q_PROJ: (16, 16)}, "its model.layers.0.self_attn.q_proj is 16×16, .* has one of 8×8. It says that it was"),
        ({Q_PROJ: (8, 8), "model.layers.7.self_attn.q_proj": (8, 8)}, "layers.7.self_attn.q_proj is 8×8, .* no such"),
    ],
)  # fmt: skip
def test_an_adapter_of_another_base_is_refused(tmp_path: Path, modules: dict[str, tuple[int, int]], says: str) -> None:
    base = write_base(tmp_path / "base")
    with pytest.raises(AdapterError, match=says):
        read(write_adapter(tmp_path / "a", base="other", modules=modules)).check_base(str(base))


def test_an_adapter_is_accepted_if_the_base_has_no_shapes_to_compare(
    tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    quantized = write_base(tmp_path / "q", {f"{Q_PROJ}.qweight": (1, 8), "model.embed_tokens.weight": (32, 8)})
    renamed = write_base(tmp_path / "r", {"language_model.layers.0.self_attn.q_proj.weight": (8, 8)})
    found = read(write_adapter(tmp_path / "a", base="org/other"))
    for base in (str(quantized), str(renamed), "org/of-the-hub"):
        found.check_base(base)
        assert f"it was trained on org/other; it is served on {base}" in caplog.text


def test_shards_are_one_model(tmp_path: Path) -> None:
    base = write_base(tmp_path / "base")
    (base / "model.safetensors").rename(base / "part.safetensors")
    weight_map = dict.fromkeys(BASE_SHAPES, "part.safetensors")
    (base / "model.safetensors.index.json").write_text(f'{{"weight_map": {weight_map}}}'.replace("'", '"'))
    with pytest.raises(AdapterError, match="belongs to another base model"):
        read(write_adapter(tmp_path / "a", modules={Q_PROJ: (9, 9)})).check_base(str(base))
