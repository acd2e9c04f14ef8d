from __future__ import annotations

import importlib.util
import inspect
import os
import pickle
import subprocess
import sys
from pathlib import Path
from types import SimpleNamespace

import pytest

from mock_server.engine.base import ChatTurn
from mock_server.engine.errors import AdapterError, EngineStartError, RequestRefusedError
from mock_server.engine.wording import Setting
from mock_server.models.types import MODEL_TYPES
from mock_server.offline import ModelType, get_default_template_type, get_template, get_vllm_engine
from mock_server.offline.engine_arguments import KEYWORDS, as_keyword, engine_arguments
from mock_server.offline.template import GENERATION, OWN
from sdk import local
from tests.support.checkpoints import write_adapter, write_base
from tests.unit.mock_server.offline.engines import local_engine

ROOT = Path(__file__).parents[4]
HAS_VLLM = importlib.util.find_spec("vllm") is not None
CHATTY = SimpleNamespace(chat_template="{{ messages }}", encode=lambda text: [1])
MUTE = SimpleNamespace(chat_template=None, encode=lambda text: [1, len(text)])


def test_types_are_constants_in_ms_swifts_spelling() -> None:
    assert ModelType.qwen_7b_chat == "qwen-7b-chat"
    assert ModelType.yi_1_5_6b == "yi-1_5-6b"
    assert set(ModelType) == set(MODEL_TYPES)
    assert "llama2_7b_chat" in dir(ModelType)
    with pytest.raises(AttributeError, match=r"'qwen_7b_chatt'.*Did you mean qwen_7b_chat\?"):
        _ = ModelType.qwen_7b_chatt


def test_each_type_has_its_template() -> None:
    assert get_default_template_type(ModelType.qwen_7b_chat) == "qwen"
    assert get_default_template_type(ModelType.qwen_7b) == GENERATION
    assert get_default_template_type(None) == OWN
    with pytest.raises(ValueError, match=r"'qwen-7b-chatt' is not known\. Nearest: qwen-7b-chat"):
        get_default_template_type("qwen-7b-chatt")
    with pytest.raises(ValueError, match="Name any model with model_id_or_path instead"):
        get_default_template_type("banana")


def test_the_tokenizers_own_template_comes_first_unless_the_type_is_preferred() -> None:
    assert get_template("qwen", CHATTY).source == OWN
    assert get_template("qwen", CHATTY, prefer_type=True).source == "qwen"
    assert get_template("qwen", MUTE).source == "qwen"
    assert get_template(OWN, CHATTY, "be brief").default_system == "be brief"
    assert get_template(GENERATION, CHATTY).source == GENERATION
    with pytest.raises(ValueError, match="no chat template: name one of chatml"):
        get_template(OWN, MUTE)
    with pytest.raises(ValueError, match=r"'qwenn' is not known.*Did you mean qwen\?"):
        get_template("qwenn", CHATTY)


def test_the_template_of_base_models_takes_only_a_query() -> None:
    completing = get_template(GENERATION, MUTE)
    assert completing.encode([ChatTurn("user", "abc")]) == [1, 3]
    for turns in ([], [ChatTurn("system", "be brief"), ChatTurn("user", "a")], [ChatTurn("assistant", "a")]):
        with pytest.raises(RequestRefusedError, match="it takes only a query, without system and history") as caught:
            completing.encode(turns)
        assert caught.value.field == "history"


def test_invalid_models_are_reported_before_anything_is_loaded(tmp_path: Path) -> None:
    adapter = write_adapter(tmp_path / "adapter")
    empty = tmp_path / "empty"
    empty.mkdir()
    for model_type, path, told in (
        ("qwen-7b-caht", None, "Nearest: qwen-7b-chat"),
        (None, None, "name a model"),
        (None, "", "model_id_or_path must not be empty"),
        (None, empty, r"model_id_or_path='.*empty' has no config\.json"),
        (ModelType.qwen_7b_chat, tmp_path / "gone", r"model_id_or_path='.*gone': there is no such folder"),
        (None, adapter, r"is an adapter: name its base model here.*lora_request=LoRARequest"),
    ):
        with pytest.raises(ValueError, match=told):
            get_vllm_engine(model_type, model_id_or_path=path)
    with pytest.raises(TypeError, match=r"model_type must be one of ModelType, or None \(got 5\)"):
        get_vllm_engine(5)  # type: ignore[arg-type]


def test_contradicting_arguments_are_reported(tmp_path: Path) -> None:
    base = write_base(tmp_path / "base")
    with pytest.raises(ValueError, match="max_lora_rank must be one of 1, 8, 16"):
        get_vllm_engine(None, model_id_or_path=base, enable_lora=True, max_lora_rank=12)
    with pytest.raises(ValueError, match="tensor_parallel_size must be at least 1"):
        get_vllm_engine(None, model_id_or_path=base, tensor_parallel_size=0)
    with pytest.raises(ValueError, match=r"engine_kwargs has 'max_model_len' = 9, and max_model_len is 8: keep one"):
        get_vllm_engine(None, model_id_or_path=base, max_model_len=8, engine_kwargs={"max_model_len": 9})
    with pytest.raises(TypeError, match=r"max_num_seqs must be a whole number \(got '4'\)"):
        get_vllm_engine(None, model_id_or_path=base, max_num_seqs="4")  # type: ignore[arg-type]
    with pytest.raises(ValueError, match=r"one of mp, ray, uni, external_launcher \(got 'rya'\).*Did you mean ray"):
        get_vllm_engine(None, model_id_or_path=base, distributed_executor_backend="rya")
    with pytest.raises(ValueError, match="use_async=True"):
        get_vllm_engine(None, model_id_or_path=base, use_async=True)


@pytest.mark.skipif(importlib.util.find_spec("ray") is not None, reason="Ray is installed here")
def test_a_missing_ray_is_reported() -> None:
    with pytest.raises(ImportError, match="needs Ray, which is not installed: pip install ray"):
        engine_arguments({"distributed_executor_backend": "ray"}, {})
    assert engine_arguments({"distributed_executor_backend": "mp"}, {})["distributed_executor_backend"] == "mp"


@pytest.mark.skipif(HAS_VLLM, reason="vLLM is installed here")
def test_a_missing_vllm_is_reported(tmp_path: Path) -> None:
    with pytest.raises(ImportError, match=r"pip install -e '\.\[vllm\]'"):
        get_vllm_engine(None, model_id_or_path=write_base(tmp_path / "base"))


FORKS = """
import os, sys
from mock_server.engine.errors import EngineDeadError
from mock_server.offline import inference_vllm
from tests.unit.mock_server.offline.engines import BundledTemplate, local_engine

with local_engine() as engine:
    child = os.fork()
    if not child:
        try:
            inference_vllm(engine, BundledTemplate(), [{"query": "q"}])
        except EngineDeadError as exc:
            print(exc)
        sys.exit()
    assert os.waitpid(child, 0)[1] == 0
    print(bool(inference_vllm(engine, BundledTemplate(), [{"query": "q"}])[0]["response"]))
"""


def test_a_fork_can_end_without_the_engine_and_the_engine_goes_on() -> None:
    ended = subprocess.run(
        [sys.executable, "-W", "ignore", "-c", FORKS], cwd=ROOT, capture_output=True, text=True, timeout=60, check=True
    )
    assert ended.stdout.splitlines() == [
        "the engine runs in the process that this one was forked from: make another one with get_vllm_engine",
        "True",
    ]


def test_the_errors_of_engines_are_exported() -> None:
    for name in ("AdapterError", "EngineDeadError", "EngineStartError"):
        assert issubclass(getattr(local, name), local.EngineError)


def test_an_engine_is_not_pickled() -> None:
    with local_engine() as engine, pytest.raises(TypeError, match="lives in one process and cannot be pickled"):
        pickle.dumps(engine)


def test_errors_name_settings_as_keyword_arguments() -> None:
    error = EngineStartError("lower ", Setting("max_model_len"), ", or ", Setting("kv_cache_memory_bytes", 2**30, "1G"))
    assert str(error) == "lower --max-model-len, or --kv-cache-memory-bytes 1G"
    assert error.spelled(as_keyword) == "lower max_model_len, or engine_kwargs={'kv_cache_memory_bytes': 1073741824}"
    switches = AdapterError(Setting("lora_self_test", False), " or ", Setting("trust_remote_code", True))
    assert str(switches) == "--lora-self-test false or --trust-remote-code true"
    assert switches.spelled(as_keyword) == "lora_self_test=False or engine_kwargs={'trust_remote_code': True}"
    assert pickle.loads(pickle.dumps(error)).spelled(as_keyword) == error.spelled(as_keyword)


def test_the_keyword_arguments_that_errors_name_exist() -> None:
    assert set(inspect.signature(get_vllm_engine).parameters) >= KEYWORDS


def test_a_folder_around_an_adapter_leads_to_the_adapter(tmp_path: Path) -> None:
    inner = write_adapter(tmp_path / "checkpoint" / "default")
    with pytest.raises(ValueError, match=f"is an adapter: name its base model here.*LoRARequest.*{inner}"):
        get_vllm_engine(None, model_id_or_path=tmp_path / "checkpoint")


def test_a_script_without_a_main_guard_is_not_run_again_by_its_processes(tmp_path: Path) -> None:
    script = tmp_path / "page.py"
    script.write_text(
        "import multiprocessing, time\n"
        "from mock_server.offline.main_module import hidden_main\n"
        "print('ran', flush=True)\n"
        "with hidden_main():\n"
        "    process = multiprocessing.get_context('spawn').Process(target=time.sleep, args=(0,))\n"
        "    process.start()\n"
        "process.join()\n"
        "print(process.exitcode, __file__)\n"
    )
    run = subprocess.run(
        [sys.executable, str(script)],
        capture_output=True,
        text=True,
        cwd=ROOT,
        env={**os.environ, "PYTHONPATH": str(ROOT)},
        timeout=50,
        check=True,
    )
    assert run.stdout.splitlines() == ["ran", f"0 {script}"]
