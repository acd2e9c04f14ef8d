from __future__ import annotations

import asyncio
import copy
import itertools
import pickle
import threading
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any

import pytest

from mock_server.engine.base import ChatTurn, Delta
from mock_server.engine.errors import AdapterError, EngineError
from mock_server.engine.sim.scripted import ScriptedRequest, TimedDelta
from mock_server.offline import (
    GenerationConfig,
    LocalEngine,
    LoRARequest,
    RowsFailedError,
    inference_stream_vllm,
    inference_vllm,
)
from tests.support.checkpoints import write_adapter
from tests.unit.mock_server.offline.engines import (
    NEVER_S,
    TOKENIZER,
    BundledTemplate,
    asked,
    echo,
    local_engine,
    scripted,
)

TEMPLATE = BundledTemplate()
KEYS = ["num_prompt_tokens", "num_generated_tokens", "num_samples", "runtime", "samples/s", "tokens/s"]


@pytest.fixture(scope="module")
def engine() -> Iterator[LocalEngine]:
    with local_engine(max_new_tokens=24) as started:
        yield started


def refuse_bad(request: ScriptedRequest) -> Iterator[TimedDelta]:
    """Fails a request whose prompt has the word; echoes the others."""
    if "bad" in TOKENIZER.decode(request.prompt_token_ids):
        raise EngineError("this one is bad.")
    yield from echo(request)


def test_responses_are_in_order_and_extend_the_histories(engine: LocalEngine) -> None:
    said: dict[str, Any] = {"system": "be brief", "history": (("hello", "hi"),)}
    rows = [{"query": f"question {k}", **said} for k in range(9)]
    before = copy.deepcopy(rows)
    together = inference_vllm(engine, TEMPLATE, rows)
    alone = [inference_vllm(engine, TEMPLATE, [row])[0] for row in rows]
    assert together == alone
    assert rows == before
    for row, response in zip(rows, together, strict=True):
        assert response["history"] == [["hello", "hi"], [row["query"], response["response"]]]
    assert len({response["response"] for response in together}) == 9


def test_a_returned_history_can_be_sent_again(engine: LocalEngine) -> None:
    first = inference_vllm(engine, TEMPLATE, asked("one"))[0]
    second = inference_vllm(engine, TEMPLATE, [{"query": "two", "history": first["history"]}])[0]
    assert [pair[0] for pair in second["history"]] == ["one", "two"]
    assert len(first["history"]) == 1


def test_an_empty_list_of_requests_gets_an_empty_list(engine: LocalEngine) -> None:
    info: dict[str, Any] = {"left": "over"}
    assert inference_vllm(engine, TEMPLATE, [], generation_info=info) == []
    assert list(inference_stream_vllm(engine, TEMPLATE, [])) == []
    assert list(info) == KEYS
    assert info["num_samples"] == 0
    info.clear()
    assert list(inference_stream_vllm(engine, TEMPLATE, [], generation_info=info)) == []
    assert list(info) == KEYS


def test_the_six_figures_are_those_of_the_tokens(engine: LocalEngine) -> None:
    info: dict[str, Any] = {"left": "over"}
    rows = asked("count me", "and me")
    inference_vllm(engine, TEMPLATE, rows, generation_info=info, generation_config=fixed(10))
    assert info["num_prompt_tokens"] == sum(len(TEMPLATE.encode([ChatTurn("user", row["query"])])) for row in rows)
    assert (info["num_generated_tokens"], info["num_samples"]) == (20, 2)
    assert list(info) == KEYS
    assert info["samples/s"] == pytest.approx(2 / info["runtime"])
    assert info["tokens/s"] == pytest.approx(20 / info["runtime"])


def fixed(tokens: int, **settings: Any) -> GenerationConfig:
    return GenerationConfig(max_new_tokens=tokens, ignore_eos=True, do_sample=False, **settings)


def test_all_choices_of_a_row_are_returned_and_counted(engine: LocalEngine) -> None:
    info: dict[str, Any] = {}
    config = GenerationConfig(n=3, max_new_tokens=8, ignore_eos=True)
    response = inference_vllm(engine, TEMPLATE, asked("vary"), generation_config=config, generation_info=info)[0]
    assert len(response["responses"]) == 3
    assert response["responses"][0] == response["response"]
    assert info["num_generated_tokens"] == 24


def test_a_stop_string_ends_a_response_before_it() -> None:
    with local_engine(scripted(echo)) as engine:
        config = GenerationConfig(stop="four")
        response = inference_vllm(engine, TEMPLATE, asked("one two three four five"), generation_config=config)[0]
    assert response["response"] == "one two three "


def test_an_observation_continues_the_last_answer() -> None:
    with local_engine(scripted(echo)) as engine:
        row = {"query": " 42 degrees", "history": [["weather?", "Thought: look. Observation:"]]}
        response = inference_vllm(engine, TEMPLATE, [row])[0]
    assert response["history"] == [["weather?", f"Thought: look. Observation: 42 degrees{response['response']}"]]


@pytest.mark.parametrize(
    ("row", "told"),
    [
        ({}, r"request_list\[1\]\['query'\] must be a string \(got None\)"),
        ({"query": 3}, r"got 3"),
        ({"query": "q", "sytem": "s"}, r"has an unknown key 'sytem'.*Did you mean system"),
        ({"query": "q", "images": ["a.png"]}, r"\['images'\] is not supported"),
        ({"query": "q", "system": 1}, r"\['system'\] must be a string or None"),
        ({"query": "q", "history": [["only"]]}, r"\['history'\]\[0\] must be a pair"),
        ({"query": "q", "history": ["ab"]}, r"\['history'\]\[0\] must be a pair"),
        ({"query": "q", "history": [["a", None]]}, r"must be two strings"),
        ({"query": "q", "history": 5}, r"request_list\[1\]\['history'\] must be a list of pairs.*got 5"),
        ({"query": "q", "history": "ab"}, r"\['history'\] must be a list of pairs.*got 'ab'"),
        ({"query": "q", "history": {"a": "b"}}, r"\['history'\] must be a list of pairs"),
        ({"query": "q \ud800"}, r"\['query'\] has half a surrogate pair \('\\ud800'\) at 2"),
        ({"query": "q", "history": [["a", "\udc00"]]}, r"\['history'\]\[0\] has half a surrogate pair"),
        ("q", r"request_list\[1\] must be a dict"),
    ],
)
def test_an_invalid_request_is_named_before_anything_runs(engine: LocalEngine, row: Any, told: str) -> None:
    requests = engine.core.stats().requests
    with pytest.raises(ValueError, match=told):
        inference_vllm(engine, TEMPLATE, [*asked("fine"), row])
    with pytest.raises(ValueError, match=told):
        inference_stream_vllm(engine, TEMPLATE, [*asked("fine"), row])
    assert engine.core.stats().requests == requests
    kept = inference_vllm(engine, TEMPLATE, [*asked("fine"), row], strict=False)
    assert kept[0]["response"]
    assert kept[1]["response"] is None


def test_other_wrong_arguments_are_named(engine: LocalEngine) -> None:
    with pytest.raises(TypeError, match="list of dicts"):
        inference_vllm(engine, TEMPLATE, {"query": "q"})  # type: ignore[call-overload]
    for arguments, options, told in (
        ((engine, TEMPLATE, None), {}, r"request_list must be a list of dicts \(got NoneType\)"),
        ((None, TEMPLATE, []), {}, "engine must be an engine from get_vllm_engine"),
        ((engine, "qwen", []), {}, "template must be a template from get_template"),
        ((engine, TEMPLATE, []), {"generation_config": {"n": 1}}, r"must be a GenerationConfig \(got dict\)"),
        ((engine, TEMPLATE, []), {"generation_info": []}, "generation_info must be a dict to fill"),
        ((engine, TEMPLATE, []), {"lora_request": "tuned"}, "lora_request must be a LoRARequest"),
        ((engine, TEMPLATE, []), {"max_batch_size": "4"}, "max_batch_size must be a whole number"),
    ):
        with pytest.raises(TypeError, match=told):
            inference_vllm(*arguments, **options)
    with pytest.raises(TypeError, match="flush_steps must be a whole number"):
        inference_stream_vllm(engine, TEMPLATE, asked("q"), flush_steps=1.5)  # type: ignore[call-overload]
    with pytest.raises(ValueError, match="max_batch_size must be at least 1"):
        inference_vllm(engine, TEMPLATE, asked("q"), max_batch_size=0)
    with pytest.raises(ValueError, match="flush_steps must be at least 1"):
        inference_stream_vllm(engine, TEMPLATE, asked("q"), flush_steps=0)


def test_a_failed_row_does_not_fail_the_others() -> None:
    rows = [*asked("good"), {"query": "bad", "history": [["a", "b"]]}, *asked("fine")]
    info: dict[str, Any] = {}
    with local_engine(scripted(refuse_bad)) as engine:
        with pytest.raises(
            RowsFailedError, match=r"1 of 3 rows failed; request_list\[1\]: this one is bad\. The"
        ) as caught:
            inference_vllm(engine, TEMPLATE, rows, generation_info=info)
        kept = inference_vllm(engine, TEMPLATE, rows, strict=False)
        streamed = list(inference_stream_vllm(engine, TEMPLATE, rows, strict=False))[-1]
        shown: list[Any] = []
        with pytest.raises(RowsFailedError):
            shown.extend(inference_stream_vllm(engine, TEMPLATE, rows))
    assert [row["response"] for row in kept] == ["good", None, "fine"]
    assert kept[1]["history"] == [["a", "b"]]
    assert str(kept[1].get("error")) == "this one is bad."
    assert [row["response"] for row in caught.value.results] == ["good", None, "fine"]
    assert [row and row["response"] for row in streamed] == ["good", None, "fine"]
    assert [row and row["response"] for row in shown[-1]] == ["good", None, "fine"]
    assert (info["num_samples"], info["num_generated_tokens"]) == (2, 4)
    assert caught.value.__cause__ is caught.value.results[1].get("error")


def test_failures_go_to_another_process_whole() -> None:
    with local_engine(scripted(refuse_bad)) as engine, pytest.raises(RowsFailedError) as caught:
        inference_vllm(engine, TEMPLATE, asked("good", "bad"))
    there = pickle.loads(pickle.dumps(caught.value))
    assert str(there) == str(caught.value)
    assert [row["response"] for row in there.results] == ["good", None]


class FailsOnBad(BundledTemplate):
    """Tokenizers and templates may raise any exception."""

    def encode(self, turns: Sequence[ChatTurn], *, continue_final: bool = False) -> list[int]:
        if turns[-1].content == "bad":
            raise ZeroDivisionError("of the tokenizer's own")
        return super().encode(turns, continue_final=continue_final)


def test_a_row_that_cannot_be_encoded_does_not_fail_the_others() -> None:
    with local_engine(scripted(echo)) as engine:
        rows = inference_vllm(engine, FailsOnBad(), asked("good", "bad", "fine"), strict=False)
    assert [row["response"] for row in rows] == ["good", None, "fine"]
    assert isinstance(rows[1].get("error"), ZeroDivisionError)


def test_a_prompt_without_room_fails_its_row_and_a_shorter_one_gets_the_rest() -> None:
    with local_engine(scripted(echo, max_model_len=12), max_new_tokens=100) as engine:
        rows = inference_vllm(engine, TEMPLATE, asked("short one", "word " * 50), strict=False)
    assert rows[0]["response"] == "short one"
    assert "context of 12" in str(rows[1].get("error"))


def test_two_thousand_rows_are_never_all_in_the_engine() -> None:
    most = 0

    def watched(request: ScriptedRequest) -> Iterator[TimedDelta]:
        nonlocal most
        most = max(most, small.core.stats().running)
        yield from echo(request)

    with local_engine(scripted(watched), max_num_seqs=8) as small:
        rows = inference_vllm(small, TEMPLATE, asked(*(f"row {k}" for k in range(2000))))
    assert [row["response"] for row in rows] == [f"row {k}" for k in range(2000)]
    assert 0 < most <= 16


def test_a_stream_gives_the_whole_list_each_time(engine: LocalEngine) -> None:
    rows = asked("tell me", "and me", "and them")
    whole = inference_vllm(engine, TEMPLATE, rows)
    info: dict[str, Any] = {}
    lists = list(inference_stream_vllm(engine, TEMPLATE, rows, generation_info=info, flush_steps=1))
    assert lists[-1] == whole
    assert info["num_samples"] == 3
    for one, following in itertools.pairwise(lists):
        assert len(one) == 3
        for response, later in zip(one, following, strict=True):
            assert response is None or (later is not None and later["response"].startswith(response["response"]))


def test_a_row_is_none_before_it_begins_and_shown_as_soon_as_it_ends() -> None:
    def first_answers(request: ScriptedRequest) -> Iterator[TimedDelta]:
        patient = "second" in TOKENIZER.decode(request.prompt_token_ids)
        yield TimedDelta(NEVER_S if patient else 0, Delta(0, TOKENIZER.encode("Well"), "length"))

    with local_engine(scripted(first_answers)) as engine:
        stream = inference_stream_vllm(engine, TEMPLATE, asked("first", "second"), flush_steps=1000)
        assert next(stream) == [{"response": "Well", "history": [["first", "Well"]]}, None]
        stream.close()
        assert engine.core.stats().running == 0


def test_it_works_inside_a_running_loop_and_from_several_threads(engine: LocalEngine) -> None:
    expected = inference_vllm(engine, TEMPLATE, asked("same"))

    async def in_a_notebook() -> Any:
        return inference_vllm(engine, TEMPLATE, asked("same"))

    assert asyncio.run(in_a_notebook()) == expected
    results: list[Any] = []
    threads = [
        threading.Thread(target=lambda: results.append(inference_vllm(engine, TEMPLATE, asked("same"))))
        for _ in range(4)
    ]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert results == [expected] * 4


def test_a_progress_bar_is_drawn_only_on_request(engine: LocalEngine, capfd: pytest.CaptureFixture[str]) -> None:
    inference_vllm(engine, TEMPLATE, asked("a", "b", "c"), use_tqdm=True)
    assert "3/3" in capfd.readouterr().err
    list(inference_stream_vllm(engine, TEMPLATE, asked("a", "b"), use_tqdm=True))
    assert "2/2" in capfd.readouterr().err
    inference_vllm(engine, TEMPLATE, asked("a"))
    assert capfd.readouterr() == ("", "")


def test_a_progress_bar_does_not_change_the_programs_output(
    engine: LocalEngine, capfd: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("FORCE_COLOR", "1")  # standard error is taken for a terminal
    for _ in inference_stream_vllm(engine, TEMPLATE, asked("a"), use_tqdm=True):
        print("piece", end=";", flush=True)
    printed = capfd.readouterr()
    assert printed.out == "piece;" * printed.out.count(";") != ""
    assert "1/1" in printed.err


def test_verbose_writes_prompts_and_outputs(capsys: pytest.CaptureFixture[str]) -> None:
    with local_engine(scripted(refuse_bad)) as engine:
        inference_vllm(engine, TEMPLATE, asked("hello", "bad"), verbose=True, strict=False)
    lines = capsys.readouterr().out.splitlines()
    assert lines[0] == "[PROMPT]<|user|>hello<|end|><|assistant|>[OUTPUT]hello"
    assert lines[1].endswith("[OUTPUT]this one is bad.")


def test_an_adapter_answers_one_call_and_the_base_the_next(tmp_path: Path) -> None:
    one = LoRARequest("one", 1, str(write_adapter(tmp_path / "one")))
    two = LoRARequest("two", 2, str(write_adapter(tmp_path / "two")))
    with local_engine(max_lora_rank=8) as engine:
        base = inference_vllm(engine, TEMPLATE, asked("who"))
        tuned = inference_vllm(engine, TEMPLATE, asked("who"), lora_request=one)
        assert tuned != base
        assert inference_vllm(engine, TEMPLATE, asked("who"), lora_request=two) != tuned  # takes the only slot
        assert inference_vllm(engine, TEMPLATE, asked("who"), lora_request=one) == tuned
        assert inference_vllm(engine, TEMPLATE, asked("who")) == base


def test_an_adapter_that_does_not_fit_is_refused_with_the_remedy(tmp_path: Path) -> None:
    wide = LoRARequest("wide", 1, str(write_adapter(tmp_path / "wide", rank=20)))
    with local_engine(max_lora_rank=8) as engine:
        with pytest.raises(AdapterError, match=r"rank 20.*at most 8.*max_lora_rank=32"):
            inference_vllm(engine, TEMPLATE, asked("who"), lora_request=wide)
        with pytest.raises(AdapterError, match="does not exist"):
            inference_vllm(engine, TEMPLATE, asked("who"), lora_request=LoRARequest("gone", 1, str(tmp_path / "no")))
    with local_engine() as plain, pytest.raises(AdapterError, match="enable_lora=True"):
        inference_vllm(plain, TEMPLATE, asked("who"), lora_request=wide)
