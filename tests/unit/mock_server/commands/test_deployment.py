"""The effect of the options of `deploy`, from the command line's own parser to the engine's arguments."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import click
import pytest

from mock_server.commands.deploy import deploy
from mock_server.commands.deployment import Deployment, read_deployment
from mock_server.commands.engine_choice import NATIVE
from mock_server.commands.native import AS_THEY_ARE, OURS, exec_vllm_serve, key_variable, vllm_serve_arguments
from mock_server.commands.wrong_use import DeployError
from mock_server.engine.base import Adapter
from mock_server.engine.errors import AdapterError, EngineOptionError
from mock_server.engine.kind import ServedModel
from mock_server.engine.model_options import LoraOptions
from mock_server.engine.vllm.factory import lora_arguments
from mock_server.engine.vllm.options import ENGINE_ARGUMENTS, VllmOptions
from tests.support.checkpoints import write_adapter, write_base


def options_of(*args: str) -> dict[str, Any]:
    context = deploy.make_context("deploy", list(args))
    return context.params


def deployment(*args: str) -> Deployment:
    return read_deployment(options_of(*args), (), {})


def vllm_options(*args: str) -> VllmOptions:
    found = deployment(*args).options
    assert isinstance(found, VllmOptions)
    return found


@pytest.mark.parametrize(
    ("args", "engine"),
    [
        ([], "sim"),
        (["--engine", "scripted"], "scripted"),
        (["--engine", "sim", "--model-type", "no-such-type"], "sim"),
        (["--model_type", "qwen-7b-chat"], "vllm"),
        (["--model", "org/x", "--infer_backend", "AUTO"], "vllm"),
        (["--model", "org/x", "--infer_backend", "vllm"], "vllm"),
        (["--model", "org/x", "--engine", "vllm", "--infer_backend", "vllm"], "vllm"),
        (["--model", "org/x", "--engine", "native"], "native"),
    ],
)
def test_a_named_model_is_never_simulated_silently(args: list[str], engine: str) -> None:
    assert deployment(*args).engine == engine


def test_the_first_command_of_ms_swifts_page() -> None:
    found = deployment("--model_type", "qwen-7b-chat", "--tensor_parallel_size", "4", "--gpu_memory_utilization", "0.8")
    assert found.settings.model_names == ("qwen-7b-chat",)
    assert found.settings.is_chat is True
    assert found.settings.model_path == "Qwen/Qwen-7B-Chat"
    assert found.model.path == "Qwen/Qwen-7B-Chat"
    assert isinstance(found.options, VllmOptions)
    assert found.options.engine_arguments() == {"tensor_parallel_size": 4, "gpu_memory_utilization": 0.8}
    assert found.model.chat_template is None
    assert "<|im_start|>" in (found.model.fallback_chat_template or "")


def test_a_base_model_does_not_chat_and_a_folder_chats_if_its_tokenizer_does(tmp_path: Path) -> None:
    assert deployment("--model_type", "qwen-7b").settings.is_chat is False
    assert deployment("--model", str(write_base(tmp_path / "m"))).settings.is_chat is None
    assert deployment("--model", "org/x", "--no-chat").settings.is_chat is False


def test_the_adapters_of_ms_swifts_page(tmp_path: Path) -> None:
    base = write_base(tmp_path / "llama2-7b-chat")
    a, b = write_adapter(tmp_path / "a", base=str(base)), write_adapter(tmp_path / "b")
    found = deployment("--ckpt_dir", str(a), "--vllm_enable_lora", "true", "--lora_modules", f"my_tuner={b}")
    assert found.settings.model_names == ("llama2-7b-chat",)
    assert found.settings.adapters == (Adapter("my_tuner", str(b)), Adapter("default-lora", str(a)))
    assert found.model.adapters == found.settings.adapters
    assert isinstance(found.options, LoraOptions)
    assert found.options.enable_lora is True
    with pytest.raises(DeployError, match="is an adapter, and --enable-lora is false"):
        deployment("--ckpt_dir", str(a), "--vllm_enable_lora", "false")


def test_engine_arguments_have_vllms_names_and_types() -> None:
    arguments = vllm_options(
        "--model", "org/x", "--dtype", "bf16", "--quantization", "gptq", "--max_model_len", "4096",
        "--max-num-seqs", "8", "--kv-cache-memory-bytes", "1.5G", "--enforce-eager",
        "--disable_custom_all_reduce", "false",
        "--distributed-executor-backend", "ray", "--pipeline-parallel-size", "2", "--data-parallel-size", "3",
        "--seed", "7", "--limit_mm_per_prompt", '{"image": 1}',
        "--engine-args", '{"max-num-queued-reqs": 9, "dtype": "bfloat16"}',
    ).engine_arguments()  # fmt: skip
    assert arguments == {
        "dtype": "bfloat16", "quantization": "gptq", "max_model_len": 4096, "max_num_seqs": 8,
        "kv_cache_memory_bytes": 1536 * 1024**2, "enforce_eager": True, "disable_custom_all_reduce": False,
        "distributed_executor_backend": "ray", "pipeline_parallel_size": 2, "data_parallel_size": 3, "seed": 7,
        "limit_mm_per_prompt": {"image": 1}, "max_num_queued_reqs": 9,
    }  # fmt: skip


@pytest.mark.parametrize(
    ("args", "defaults"),
    [
        (["--temperature", "0.5", "--top_k", "5", "--max_new_tokens", "64"],
         {"temperature": 0.5, "top_k": 5, "max_new_tokens": 64}),
        (["--do_sample", "false"], {"temperature": 0.0}),
        (["--do_sample", "true", "--temperature", "0.5"], {"temperature": 0.5}),
        (["--override-generation-config", '{"min_p": 0.1, "top_p": 0.9}', "--top-p", "0.9"],
         {"min_p": 0.1, "top_p": 0.9}),
    ],
)  # fmt: skip
def test_sampling_defaults_override_the_models(args: list[str], defaults: dict[str, float]) -> None:
    arguments = vllm_options("--model", "org/x", *args).engine_arguments()
    assert arguments["override_generation_config"] == defaults


def test_a_template_is_the_one_named(tmp_path: Path) -> None:
    file = tmp_path / "t.jinja"
    file.write_text("{{ messages }}")
    assert deployment("--model", "org/x", "--chat-template", str(file)).model.chat_template == "{{ messages }}"
    assert deployment("--model", "org/x", "--chat-template", "{{ 1 }}").model.chat_template == "{{ 1 }}"
    assert "[INST]" in (deployment("--model", "org/x", "--template_type", "llama").model.chat_template or "")


@pytest.mark.parametrize("args", [[], ["--uds", "/run/s"], ["--api-key", "k"], ["--runtime-lora", "false"]])
def test_nobody_may_load_adapters_unless_that_is_switched_on(args: list[str]) -> None:
    assert not deployment(*args).settings.runtime_adapters
    if "--runtime-lora" not in args:
        assert deployment(*args, "--runtime-lora").settings.runtime_adapters


@pytest.mark.parametrize(
    ("args", "hosts"),
    [
        ([], ()),
        (["--host", "localhost"], ()),
        (["--host", "127.0.0.2"], ()),
        (["--host", "[::1]"], ()),
        (["--host", "127.0.0.1", "--allowed-hosts", "a.example", "b.example"], ("a.example", "b.example")),
        (["--allowed-hosts", "*"], ("*",)),
        (["--allowed-hosts", '["a.example"]'], ("a.example",)),
        (["--uds", "/run/s"], ("*",)),
        (["--host", "0.0.0.0"], ("*",)),
        (["--host", "example.org"], ("*",)),
        (["--host", "0.0.0.0", "--allowed-hosts", "a.example"], ("a.example",)),
    ],
)
def test_names_of_the_server_are_checked_where_only_this_machine_may_call(
    args: list[str], hosts: tuple[str, ...]
) -> None:
    assert deployment(*args).settings.allowed_hosts == hosts


def test_system_and_stop_words_become_settings() -> None:
    settings = deployment("--system", "Be brief.", "--stop_words", "END", "FIN").settings
    assert (settings.system, settings.stop_strings) == ("Be brief.", ("END", "FIN"))


def lora(tmp_path: Path, **options: Any) -> dict[str, Any]:
    base = write_base(tmp_path / "base")
    ranks = {"a": 4, "b": 20}
    folders = {name: write_adapter(tmp_path / name, rank=rank, base="base") for name, rank in ranks.items()}
    adapters = tuple(Adapter(name, str(folder)) for name, folder in folders.items())
    return lora_arguments(ServedModel("m", str(base), adapters=adapters), LoraOptions(**options))


def test_room_is_made_for_the_adapters_named(tmp_path: Path) -> None:
    assert lora(tmp_path) == {"enable_lora": True, "max_loras": 2, "max_lora_rank": 32}
    assert lora(tmp_path, max_loras=5, max_lora_rank=64) == {"enable_lora": True, "max_loras": 5, "max_lora_rank": 64}
    empty = lora_arguments(ServedModel("m", "base"), LoraOptions(enable_lora=True))
    assert empty == {"enable_lora": True, "max_loras": 1, "max_lora_rank": 16}
    assert lora_arguments(ServedModel("m", "base"), LoraOptions()) == {}


def test_room_that_is_too_small_is_refused(tmp_path: Path) -> None:
    with pytest.raises(AdapterError, match="2 adapters are named and --max-loras is 1: make it 2 or more"):
        lora(tmp_path, max_loras=1)
    with pytest.raises(AdapterError, match="adapter b has rank 20, and the engine takes at most 16"):
        lora(tmp_path, max_lora_rank=16)
    with pytest.raises(EngineOptionError, match=r"--max-lora-rank must be one of 1, 8, .* \(got 7\)"):
        lora(tmp_path, max_lora_rank=7)
    with pytest.raises(AdapterError, match="--enable-lora is false"):
        lora_arguments(ServedModel("m", "base", adapters=(Adapter("a", "/a"),)), LoraOptions(enable_lora=False))


def test_vllm_serve_gets_the_options_under_its_own_names(tmp_path: Path) -> None:
    base = write_base(tmp_path / "base")
    adapter = write_adapter(tmp_path / "a", base=str(base))
    args = (
        "--engine", "native", "--model", str(base), "--port", "9", "--served-model-name", "m", "n", "--api-key", "k",
        "--lora-modules", f"tuner={adapter}", "--dtype", "fp32", "--enforce-eager", "--enable-prefix-caching", "false",
        "--temperature", "0",
    )  # fmt: skip
    found = deployment(*args)
    assert vllm_serve_arguments(options_of(*args), found) == [
        "serve", str(base), "--host", "127.0.0.1", "--port", "9", "--served-model-name", "m", "n",
        "--lora-modules", f"tuner={adapter}", "--dtype", "float32", "--enforce-eager", "--no-enable-prefix-caching",
        "--override-generation-config", '{"temperature": 0.0}', "--enable-lora", "--max-loras", "1",
        "--max-lora-rank", "16",
    ]  # fmt: skip


def test_vllm_serve_gets_the_options_it_knows_and_no_option_is_dropped_silently(tmp_path: Path) -> None:
    model = str(write_base(tmp_path / "base"))
    args = ("--engine", "native", "--model", model, "--allowed-origins", "a", "b", "--ssl-keyfile", "k")
    found = deployment(*args)
    written = vllm_serve_arguments(options_of(*args), found)
    assert written[written.index("--allowed-origins") + 1] == '["a", "b"]'
    assert written[written.index("--ssl-keyfile") + 1] == "k"
    read_before = {
        "config", "host", "port", "served_model_name", "api_key", "api_key_file", "engine", "infer_backend",
        "model_type", "model_id_or_path",
        "ckpt_dir", "template_type", "chat_template", "lora_modules", "enable_lora", "max_loras", "max_lora_rank",
        "max_new_tokens", "temperature", "top_p", "top_k", "repetition_penalty", "do_sample",
        "override_generation_config", "engine_args", "version",
    }  # fmt: skip
    carried = {*OURS, *AS_THEY_ARE, *ENGINE_ARGUMENTS, *read_before}
    for_native = [option.name for option in deploy.params if NATIVE in (getattr(option, "engines", ()) or (NATIVE,))]
    assert set(for_native) <= carried


def test_vllm_serve_gets_one_key_in_its_environment_and_several_as_arguments() -> None:
    assert key_variable(()) == {}
    assert key_variable(("k",)) == {"VLLM_API_KEY": "k"}
    assert key_variable(("k", "l")) == {}
    args = ("--engine", "native", "--model", "a/b", "--api-key", "k", "l", "--uds", "/run/s", "--root-path", "/llm")
    found = deployment(*args)
    assert vllm_serve_arguments(options_of(*args), found) == [
        "serve", "a/b", "--served-model-name", "a/b", "--api-key", "k", "l", "--uds", "/run/s", "--root-path", "/llm",
    ]  # fmt: skip


def test_several_keys_of_a_file_do_not_become_arguments_of_vllm_serve() -> None:
    args = ("--engine", "native", "--model", "a/b", "--api-key-file", "/run/keys")
    options = {**options_of(*args), "api_key": ("k", "l")}  # as read from the file
    found = read_deployment(options, (), {})
    with pytest.raises(DeployError, match="--api-key-file /run/keys: vllm serve takes several keys only as arguments"):
        exec_vllm_serve(options, (), found)


def test_methods_of_web_pages_are_upper_case() -> None:
    cors = deployment("--allowed-origins", "https://a.example", "--allowed-methods", "post", "Get").settings.cors
    assert cors is not None
    assert cors.methods == ("POST", "GET")


def test_every_option_stands_under_a_heading() -> None:
    options = [param for param in deploy.params if isinstance(param, click.Option)]
    assert [option.name for option in options if not hasattr(option, "section")] == []
