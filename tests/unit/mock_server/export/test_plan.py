from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest

from mock_server.export.errors import ExportOptionError
from mock_server.export.plan import Merge, Plan, Quantization, plan_export
from mock_server.models.source import find_model
from mock_server.training.fingerprint import fingerprint
from tests.support.checkpoints import BASE_SHAPES, write_adapter, write_base

GPTQ = Quantization("gptq", ("a.jsonl",), 8, 64)


@pytest.fixture
def base(tmp_path: Path) -> Path:
    return write_base(tmp_path / "base")


@pytest.fixture
def adapter(tmp_path: Path, base: Path) -> Path:
    return write_adapter(tmp_path / "run" / "checkpoint-8", base=str(base))


def plan(folder: Path, **given: Any) -> Plan:
    source = find_model(ckpt_dir=str(folder))
    assert source is not None
    options = {"merge_lora": False, "dtype": None, "quantization": None, "output_dir": None, **given}
    return plan_export(source, **options)


def test_a_merged_model_stands_beside_its_checkpoint(adapter: Path, base: Path) -> None:
    found = plan(adapter, merge_lora=True)
    assert found.target == adapter.with_name("checkpoint-8-merged")
    assert found.merge == Merge(adapter, base, "float32")
    assert found.quantization is None


def test_the_base_s_type_is_kept_unless_another_is_named(adapter: Path, base: Path) -> None:
    (base / "config.json").write_text('{"model_type": "llama", "torch_dtype": "bfloat16"}')
    kept, named = plan(adapter, merge_lora=True).merge, plan(adapter, merge_lora=True, dtype="fp16").merge
    assert kept is not None
    assert named is not None
    assert (kept.dtype, named.dtype) == ("bfloat16", "float16")


def test_a_quantized_model_is_called_by_its_method(adapter: Path, base: Path) -> None:
    assert plan(base, quantization=GPTQ).target == base.with_name("base-gptq-int4")
    both = plan(adapter, merge_lora=True, quantization=GPTQ)
    assert both.target == adapter.with_name("checkpoint-8-merged-gptq-int4")
    assert both.needed > plan(adapter, merge_lora=True).needed


def test_the_room_needed_is_that_of_the_merged_weights(adapter: Path) -> None:
    parameters = sum(rows * columns for rows, columns in BASE_SHAPES.values())
    half, whole = (plan(adapter, merge_lora=True, dtype=name).needed for name in ("fp16", "fp32"))
    assert whole - half == 2 * parameters


@pytest.mark.parametrize(
    ("options", "says"),
    [
        ({}, "name what to do: --merge-lora true or --quant-bits 4"),
        ({"merge_lora": True}, "--merge-lora true: .*/base is a whole model"),
        ({"quantization": GPTQ, "dtype": "fp16"}, "--dtype is for --merge-lora true"),
    ],
)
def test_a_whole_model_cannot_be_merged(base: Path, options: dict[str, Any], says: str) -> None:
    with pytest.raises(ExportOptionError, match=says):
        plan(base, **options)


def test_an_adapter_cannot_be_quantized_alone(adapter: Path) -> None:
    with pytest.raises(ExportOptionError, match=r"is an adapter: .* add --merge-lora true"):
        plan(adapter, quantization=GPTQ)


def test_an_adapter_of_another_shape_is_refused(tmp_path: Path, base: Path) -> None:
    other = write_adapter(tmp_path / "other", base=str(base), modules={"model.layers.0.self_attn.q_proj": (16, 8)})
    with pytest.raises(ExportOptionError, match=r"belongs to another base model: its .* is 16×8"):
        plan(other, merge_lora=True)


def test_an_adapter_of_other_weights_of_the_same_shape_is_refused(adapter: Path, base: Path) -> None:
    args = {"model_fingerprint": fingerprint(base), "model_id_or_path": str(base)}
    (adapter / "sft_args.json").write_text(json.dumps(args))
    plan(adapter, merge_lora=True)
    (base / "config.json").write_text('{"model_type": "llama", "rope_theta": 5}')
    with pytest.raises(ExportOptionError, match="belongs to another base: trained on other weights"):
        plan(adapter, merge_lora=True)


def test_a_quantized_model_is_not_quantized_again(base: Path) -> None:
    (base / "config.json").write_text('{"quantization_config": {"quant_method": "awq"}}')
    with pytest.raises(ExportOptionError, match=r"is quantized already \(awq\)"):
        plan(base, quantization=GPTQ)


def test_a_model_of_the_hub_is_refused_with_the_remedy() -> None:
    source = find_model(model_type="qwen2-7b-instruct")
    assert source is not None
    with pytest.raises(ExportOptionError, match="is not a folder here: download it"):
        plan_export(source, merge_lora=False, dtype=None, quantization=GPTQ, output_dir=None)


def test_the_result_does_not_replace_what_it_is_made_from(adapter: Path, base: Path) -> None:
    for target in (adapter, base, base.parent):
        with pytest.raises(ExportOptionError, match="is or holds what is exported"):
            plan(adapter, merge_lora=True, output_dir=target)
