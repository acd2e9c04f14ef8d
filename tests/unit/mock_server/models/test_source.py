from __future__ import annotations

import json
from pathlib import Path

import pytest

from mock_server.engine.base import Adapter
from mock_server.models.source import ModelSource, ModelSourceError, find_model, folder_name, simulated_name
from mock_server.models.templates import TEMPLATES
from mock_server.models.types import MODEL_TYPES, UnknownModelTypeError, find_model_type, model_type_of
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


def test_types_are_distinct_and_have_existing_templates() -> None:
    assert len({known.hub_id for known in MODEL_TYPES.values()}) == len(MODEL_TYPES)
    assert {known.template for known in MODEL_TYPES.values()} <= {*TEMPLATES, None}
    assert model_type_of("nobody/nothing") is None


def test_the_error_for_an_unknown_type_names_the_nearest() -> None:
    with pytest.raises(UnknownModelTypeError, match=r"'qwen-7b-caht' is not known\. Nearest: qwen-7b-chat"):
        find_model_type("qwen-7b-caht")
    with pytest.raises(UnknownModelTypeError, match=r"is not known\. Name any model with"):
        find_model_type("x")


def test_without_options_there_is_no_model() -> None:
    assert find_model() is None


def test_a_type_without_a_path_means_its_model_on_the_hub() -> None:
    assert find_model(model_type="qwen-7b-chat") == ModelSource("Qwen/Qwen-7B-Chat", "qwen-7b-chat", QWEN)


@pytest.mark.parametrize(
    ("hub_id", "name"), [("qwen/qwen-7b-chat", "qwen-7b-chat"), ("org/some-model", "org/some-model"), ("gpt2", "gpt2")]
)
def test_a_hub_id_gives_the_models_name_unless_it_has_a_type(hub_id: str, name: str) -> None:
    found = find_model(model_id_or_path=hub_id)
    assert found is not None
    assert (found.path, found.name) == (hub_id, name)


def test_a_folder_gives_the_models_name_unless_a_type_does(tmp_path: Path) -> None:
    folder = write_base(tmp_path / "my model, v2")
    assert find_model(model_id_or_path=str(folder)) == ModelSource(str(folder), "my-model-v2")
    typed = find_model(model_id_or_path=str(folder), model_type="qwen-7b-chat")
    assert typed == ModelSource(str(folder), "qwen-7b-chat", QWEN)
    assert folder_name(Path("/")) == "model"


@pytest.mark.parametrize("path", ["/nowhere/at/all", "./nowhere", "a b", "a/b/c", "~/no such", "Qwen/"])
def test_a_path_that_is_neither_folder_nor_hub_id_is_refused(path: str) -> None:
    with pytest.raises(ModelSourceError, match="there is no such folder, and it is not a hub id"):
        find_model(model_id_or_path=path)


def test_a_folder_without_a_model_is_refused(tmp_path: Path) -> None:
    with pytest.raises(ModelSourceError, match=r"has no config\.json"):
        find_model(model_id_or_path=str(tmp_path))
    adapter = write_adapter(tmp_path / "a")
    with pytest.raises(ModelSourceError, match="is an adapter: name it with --ckpt-dir"):
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


def test_another_base_can_be_named_for_an_adapter(tmp_path: Path) -> None:
    other = write_base(tmp_path / "other")
    adapter = write_adapter(tmp_path / "a", base="/gone")
    found = find_model(ckpt_dir=str(adapter), model_id_or_path=str(other))
    assert found is not None
    assert (found.path, found.name) == (str(other), "other")
    typed = find_model(ckpt_dir=str(adapter), model_type="qwen-7b-chat")
    assert typed is not None
    assert (typed.path, typed.name) == ("Qwen/Qwen-7B-Chat", "qwen-7b-chat")  # the base that it names is not here


@pytest.mark.parametrize("model_type", ["qwen-7b-chat", "qwen-7b"])
def test_a_type_names_the_adapters_own_base(tmp_path: Path, model_type: str) -> None:
    base = write_base(tmp_path / "base")
    adapter = write_adapter(tmp_path / "a", base=str(base))
    found = find_model(ckpt_dir=str(adapter), model_type=model_type)
    known = find_model_type(model_type)
    assert found == ModelSource(str(base), model_type, known, Adapter("default-lora", str(adapter)))


@pytest.mark.parametrize("said", ["models/base", "./models/base", "../models/base"])
@pytest.mark.parametrize("model_type", [None, "qwen-7b-chat"])
def test_a_relative_base_is_searched_here_and_next_to_the_adapter(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, said: str, model_type: str | None
) -> None:
    (tmp_path / "elsewhere").mkdir()
    monkeypatch.chdir(tmp_path / "elsewhere")
    adapter = write_adapter(tmp_path / "adapters" / "a", base=said)
    beside = write_base((adapter / said).resolve())
    found = find_model(ckpt_dir=str(adapter), model_type=model_type)
    assert found is not None
    assert Path(found.path).resolve() == beside
    here = write_base(tmp_path / "elsewhere" / said)
    found = find_model(ckpt_dir=str(adapter), model_type=model_type)
    assert found is not None
    assert Path(found.path).resolve() == here.resolve()
    assert found.name == (model_type or "base")


def test_a_folder_without_a_model_is_not_the_base(tmp_path: Path) -> None:
    (tmp_path / "empty").mkdir()
    adapter = write_adapter(tmp_path / "a", base=str(tmp_path / "empty"))
    typed = find_model(ckpt_dir=str(adapter), model_type="qwen-7b-chat")
    assert typed is not None
    assert typed.path == "Qwen/Qwen-7B-Chat"
    with pytest.raises(ModelSourceError, match=r"has no config\.json.*; name its base model with --model-id-or-path"):
        find_model(ckpt_dir=str(adapter))


class TestSwift:
    """Checkpoints as ms-swift writes them."""

    def test_sft_args_name_type_and_base(self, tmp_path: Path) -> None:
        base = write_base(tmp_path / "base")
        adapter = write_adapter(tmp_path / "checkpoint-9", base="/root/.cache/modelscope/hub/qwen/Qwen-7B-Chat")
        args = {"model_type": "qwen-7b-chat", "model_id_or_path": str(base), "template_type": "qwen", "seed": 42}
        (adapter / "sft_args.json").write_text(json.dumps(args))
        default_lora = Adapter("default-lora", str(adapter))
        assert find_model(ckpt_dir=str(adapter)) == ModelSource(str(base), "qwen-7b-chat", QWEN, default_lora)

    def test_a_base_without_a_local_folder_comes_from_the_type(self, tmp_path: Path) -> None:
        adapter = write_adapter(tmp_path / "checkpoint-9", base="/gone")
        args = {"model_type": "qwen-7b-chat", "model_id_or_path": "qwen/Qwen-7B-Chat"}
        (adapter / "sft_args.json").write_text(json.dumps(args))
        found = find_model(ckpt_dir=str(adapter))
        assert found is not None
        assert (found.path, found.name) == ("Qwen/Qwen-7B-Chat", "qwen-7b-chat")

    def test_args_of_newer_releases_name_the_model(self, tmp_path: Path) -> None:
        base = write_base(tmp_path / "base")
        adapter = write_adapter(tmp_path / "checkpoint-9", base="/gone")
        args = {"model": "Qwen/Qwen2.5-7B-Instruct", "model_type": "qwen2_5", "model_dir": str(base), "template": "x"}
        (adapter / "args.json").write_text(json.dumps(args))
        found = find_model(ckpt_dir=str(adapter))
        assert found is not None
        assert (found.path, found.name) == (str(base), "qwen2_5-7b-instruct")
        (base / "config.json").unlink()
        found = find_model(ckpt_dir=str(adapter))
        assert found is not None
        assert (found.path, found.name) == ("Qwen/Qwen2.5-7B-Instruct", "qwen2_5-7b-instruct")

    def test_a_model_of_unknown_type_is_looked_up_on_the_hub(self, tmp_path: Path) -> None:
        adapter = write_adapter(tmp_path / "checkpoint-9", base="/gone")
        (adapter / "args.json").write_text(
            json.dumps({"model": "org/mine", "model_type": "mine", "model_dir": "/gone"})
        )
        found = find_model(ckpt_dir=str(adapter))
        assert found is not None
        assert (found.path, found.name, found.type) == ("org/mine", "org/mine", None)

    def test_a_merged_checkpoint_has_its_type(self, tmp_path: Path) -> None:
        merged = write_base(tmp_path / "checkpoint-9-merged")
        (merged / "sft_args.json").write_text('{"model_type": "qwen-7b-chat"}')
        assert find_model(ckpt_dir=str(merged)) == ModelSource(str(merged), "qwen-7b-chat", QWEN)
        typed = find_model(ckpt_dir=str(merged), model_type="qwen-7b")
        assert typed is not None
        assert typed.name == "qwen-7b"

    @pytest.mark.parametrize("text", ["", "[]", "{", '{"model_type": 3, "model": {"a": 1}}', '{"model_type": ""}'])
    def test_files_of_other_tools_with_these_names_are_ignored(self, tmp_path: Path, text: str) -> None:
        merged = write_base(tmp_path / "m")
        (merged / "args.json").write_text(text)
        assert find_model(ckpt_dir=str(merged)) == ModelSource(str(merged), "m")

    def test_ms_swifts_subfolder_with_an_adapter_is_named(self, tmp_path: Path) -> None:
        inner = write_adapter(tmp_path / "checkpoint-9" / "default")
        with pytest.raises(ModelSourceError, match=f"in a subfolder: --ckpt-dir {inner}$"):
            find_model(ckpt_dir=str(tmp_path / "checkpoint-9"))


def test_a_simulated_model_has_the_name_of_the_real_one(tmp_path: Path) -> None:
    base = write_base(tmp_path / "base")
    adapter = write_adapter(tmp_path / "a", base=str(base))
    default_lora = Adapter("default-lora", str(adapter))
    assert simulated_name() == (None, None)
    assert simulated_name(model_type="anything") == ("anything", None)
    assert simulated_name(model_id_or_path="org/mine") == ("org/mine", None)
    assert simulated_name(model_id_or_path=str(base)) == ("base", None)
    assert simulated_name(model_id_or_path="/not/here, yet") == ("here-yet", None)
    assert simulated_name(ckpt_dir="/not/here/checkpoint-9") == ("checkpoint-9", None)
    assert simulated_name(ckpt_dir=str(adapter)) == ("base", default_lora)
    assert simulated_name(ckpt_dir=str(adapter), model_type="qwen-7b-chat") == ("qwen-7b-chat", default_lora)


@pytest.mark.parametrize(
    ("base", "says"),
    [("/gone", "there is no such folder, .*; name its base model with"), (None, "does not name the model")],
)  # fmt: skip
def test_a_base_that_cannot_be_found_has_a_remedy(tmp_path: Path, base: str | None, says: str) -> None:
    with pytest.raises(ModelSourceError, match=says):
        find_model(ckpt_dir=str(write_adapter(tmp_path / "a", base=base)))


def test_a_missing_checkpoint_is_refused(tmp_path: Path) -> None:
    with pytest.raises(ModelSourceError, match="there is no such folder"):
        find_model(ckpt_dir=str(tmp_path / "none"))
