from pathlib import Path

import pytest

from mock_server.engine.base import Adapter
from mock_server.model_source import ModelSource, ModelSourceError, find_model, folder_name
from mock_server.model_types import MODEL_TYPES, UnknownModelTypeError, find_model_type, model_type_of
from mock_server.templates import TEMPLATES
from tests.support.checkpoints import write_adapter, write_base

QWEN = find_model_type("qwen-7b-chat")


@pytest.mark.parametrize(
    ("name", "hub_id", "is_chat", "template"),
    [
        ("qwen-7b-chat", "Qwen/Qwen-7B-Chat", True, "qwen"),
        ("qwen-7b", "Qwen/Qwen-7B", False, None),
        ("qwen-7b-chat-int4", "Qwen/Qwen-7B-Chat-Int4", True, "qwen"),
        ("qwen1half-1_8b-chat", "Qwen/Qwen1.5-1.8B-Chat", True, "qwen"),
        ("llama2-7b-chat", "meta-llama/Llama-2-7b-chat-hf", True, "llama"),
        ("yi-6b-chat", "01-ai/Yi-6B-Chat", True, "chatml"),
        ("qwen3-0_6b", "Qwen/Qwen3-0.6B", True, "qwen"),
        ("SMOLLM2-135M-instruct", "HuggingFaceTB/SmolLM2-135M-Instruct", True, "chatml"),
    ],
)
def test_a_type_is_a_model_on_the_hub(name: str, hub_id: str, is_chat: bool, template: str | None) -> None:
    found = find_model_type(name)
    assert (found.hub_id, found.is_chat, found.template) == (hub_id, is_chat, template)
    assert model_type_of(hub_id) == found


def test_types_are_told_apart_and_have_templates_that_there_are() -> None:
    assert len({known.hub_id for known in MODEL_TYPES.values()}) == len(MODEL_TYPES)
    assert {known.template for known in MODEL_TYPES.values()} <= {*TEMPLATES, None}
    assert model_type_of("nobody/nothing") is None


def test_an_unknown_type_is_told_the_nearest() -> None:
    with pytest.raises(UnknownModelTypeError, match=r"'qwen-7b-caht' is not known\. Near it: qwen-7b-chat"):
        find_model_type("qwen-7b-caht")
    with pytest.raises(UnknownModelTypeError, match=r"is not known\. Any model can be named"):
        find_model_type("x")


def test_nothing_said_is_no_model() -> None:
    assert find_model() is None


def test_a_type_alone_is_its_model_on_the_hub() -> None:
    assert find_model(model_type="qwen-7b-chat") == ModelSource("Qwen/Qwen-7B-Chat", "qwen-7b-chat", QWEN)


@pytest.mark.parametrize(
    ("hub_id", "name"), [("qwen/qwen-7b-chat", "qwen-7b-chat"), ("org/some-model", "org/some-model"), ("gpt2", "gpt2")]
)
def test_a_hub_id_is_called_by_its_type_or_by_itself(hub_id: str, name: str) -> None:
    found = find_model(model_id_or_path=hub_id)
    assert found is not None
    assert (found.path, found.name) == (hub_id, name)


def test_a_folder_is_called_by_its_name_unless_a_type_is_said(tmp_path: Path) -> None:
    folder = write_base(tmp_path / "my model, v2")
    assert find_model(model_id_or_path=str(folder)) == ModelSource(str(folder), "my-model-v2")
    typed = find_model(model_id_or_path=str(folder), model_type="qwen-7b-chat")
    assert typed == ModelSource(str(folder), "qwen-7b-chat", QWEN)
    assert folder_name(Path("/")) == "model"


@pytest.mark.parametrize("path", ["/nowhere/at/all", "./nowhere", "a b", "a/b/c", "~/no such", "Qwen/"])
def test_what_is_neither_a_folder_nor_a_hub_id_is_refused(path: str) -> None:
    with pytest.raises(ModelSourceError, match="there is no such folder, and it is no hub id"):
        find_model(model_id_or_path=path)


def test_a_folder_that_holds_no_model_is_refused(tmp_path: Path) -> None:
    with pytest.raises(ModelSourceError, match=r"has no config\.json"):
        find_model(model_id_or_path=str(tmp_path))
    adapter = write_adapter(tmp_path / "a")
    with pytest.raises(ModelSourceError, match="is an adapter: name it by --ckpt-dir"):
        find_model(model_id_or_path=str(adapter))


def test_a_checkpoint_that_is_a_model_is_that_model(tmp_path: Path) -> None:
    merged = write_base(tmp_path / "checkpoint-9-merged")
    assert find_model(ckpt_dir=str(merged)) == ModelSource(str(merged), "checkpoint-9-merged")
    typed = find_model(ckpt_dir=str(merged), model_type="qwen-7b-chat")
    assert typed == ModelSource(str(merged), "qwen-7b-chat", QWEN)
    with pytest.raises(ModelSourceError, match="is a model, not an adapter: leave --model-id-or-path x/y out"):
        find_model(ckpt_dir=str(merged), model_id_or_path="x/y")


def test_an_adapter_is_default_lora_on_the_base_that_it_names(tmp_path: Path) -> None:
    base = write_base(tmp_path / "base")
    adapter = write_adapter(tmp_path / "a", base=str(base))
    default_lora = Adapter("default-lora", str(adapter))
    assert find_model(ckpt_dir=str(adapter)) == ModelSource(str(base), "base", None, default_lora)


def test_its_base_can_be_named_otherwise(tmp_path: Path) -> None:
    other = write_base(tmp_path / "other")
    adapter = write_adapter(tmp_path / "a", base="/gone")
    found = find_model(ckpt_dir=str(adapter), model_id_or_path=str(other))
    assert found is not None
    assert (found.path, found.name) == (str(other), "other")
    typed = find_model(ckpt_dir=str(adapter), model_type="qwen-7b-chat")
    assert typed is not None
    assert (typed.path, typed.name) == ("Qwen/Qwen-7B-Chat", "qwen-7b-chat")


@pytest.mark.parametrize(
    ("base", "says"),
    [("/gone", "there is no such folder, .*; name its base model by"), (None, "does not say what model")],
)  # fmt: skip
def test_a_base_that_cannot_be_found_has_a_remedy(tmp_path: Path, base: str | None, says: str) -> None:
    with pytest.raises(ModelSourceError, match=says):
        find_model(ckpt_dir=str(write_adapter(tmp_path / "a", base=base)))


def test_a_checkpoint_that_is_not_there_is_refused(tmp_path: Path) -> None:
    with pytest.raises(ModelSourceError, match="there is no such folder"):
        find_model(ckpt_dir=str(tmp_path / "none"))
