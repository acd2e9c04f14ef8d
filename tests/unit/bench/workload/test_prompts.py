"""Prompt files: what is accepted, and what a wrong line is told."""

from __future__ import annotations

from pathlib import Path

import pytest

from bench.workload.datasets import Prompt
from bench.workload.prompts import PromptFileError, bundled_prompts, load_prompts


def write(tmp_path: Path, text: str) -> Path:
    path = tmp_path / "p.jsonl"
    path.write_text(text, "utf-8")
    return path


def test_lines_of_each_form(tmp_path: Path) -> None:
    path = write(
        tmp_path,
        '{"prompt": "Why?"}\n\n{"messages": [{"role": "user", "content": "为什么?"}], "output_len": 5}\r\n'
        '{"prompt": "a", "max_tokens": 6, "topic": "else"}\n{"prompt": "b", "output_tokens": 7}',
    )
    assert load_prompts(path, "chat", 128) == [
        Prompt(128, messages=[{"role": "user", "content": "Why?"}]),
        Prompt(5, messages=[{"role": "user", "content": "为什么?"}]),
        Prompt(6, messages=[{"role": "user", "content": "a"}]),
        Prompt(7, messages=[{"role": "user", "content": "b"}]),
    ]


def test_a_byte_order_mark_is_not_part_of_the_first_line(tmp_path: Path) -> None:
    path = write(tmp_path, '\ufeff{"prompt": "Once"}\n')
    assert load_prompts(path, "completions", 9) == [Prompt(9, text="Once")]


def test_prompts_for_completions_stay_text(tmp_path: Path) -> None:
    assert load_prompts(write(tmp_path, '{"prompt": "Once"}'), "completions", 9) == [Prompt(9, text="Once")]


@pytest.mark.parametrize(
    ("line", "words"),
    [
        ("{", "not JSON"),
        ("[" * 100_000, "not JSON"),
        ("[1]", "must be a JSON object"),
        ('{"promt": "a"}', "either 'prompt' or 'messages' is required, only 'promt' found"),
        ("{}", "nothing"),
        ('{"prompt": "a", "messages": []}', "both found"),
        ('{"prompt": ""}', "not empty"),
        ('{"prompt": 5}', "'prompt' must be text"),
        ('{"messages": []}', "at least one message"),
        ('{"messages": [{"content": "a"}]}', "messages[0] needs a 'role'"),
        ('{"messages": [{"role": "user", "content": ""}]}', "messages[0].content"),
        (
            '{"prompt": "a", "output_len": 0}',
            "output_len must be a whole number of tokens, from 1 to",
        ),
        ('{"prompt": "a", "max_tokens": true}', "max_tokens must be a whole number"),
        ('{"prompt": "a", "max_tokens": 1, "output_len": 1}', "mean the same"),
    ],
)
def test_a_wrong_line_is_named_with_its_remedy(tmp_path: Path, line: str, words: str) -> None:
    path = write(tmp_path, '{"prompt": "fine"}\n' + line)
    with pytest.raises(PromptFileError) as error:
        load_prompts(path, "chat", 128)
    assert str(error.value).startswith(f"{path}, line 2: ")
    assert words in str(error.value)


def test_messages_do_not_go_to_completions(tmp_path: Path) -> None:
    path = write(tmp_path, '{"messages": [{"role": "user", "content": "a"}]}')
    with pytest.raises(PromptFileError, match="--endpoint chat"):
        load_prompts(path, "completions", 128)


def test_files_that_cannot_be_used(tmp_path: Path) -> None:
    with pytest.raises(PromptFileError, match=r"cannot be read \(No such file"):
        load_prompts(tmp_path / "none", "chat", 1)
    with pytest.raises(PromptFileError, match=r"cannot be read \(File name too long"):
        load_prompts(tmp_path / ("a" * 300), "chat", 1)
    with pytest.raises(PromptFileError, match="/dev/zero: is a device; name a file"):
        load_prompts(Path("/dev/zero"), "chat", 1)
    with pytest.raises(PromptFileError, match=r"cannot be read \(Is a directory"):
        load_prompts(tmp_path, "chat", 1)
    with pytest.raises(PromptFileError, match="contains no prompts"):
        load_prompts(write(tmp_path, "\n  \n"), "chat", 1)
    binary = tmp_path / "b"
    binary.write_bytes(b"\xff\xfe")
    with pytest.raises(PromptFileError, match="not UTF-8"):
        load_prompts(binary, "chat", 1)


def test_the_bundled_prompts_are_varied() -> None:
    texts = [prompt.text for prompt in bundled_prompts("completions", 128)]
    assert len(texts) == len(set(texts)) >= 36
    chinese = [text for text in texts if any("一" <= sign <= "鿿" for sign in text)]
    assert len(texts) / 3 < len(chinese) < 2 * len(texts) / 3
    assert min(map(len, texts)) < 25
    assert max(map(len, texts)) > 400
    assert all(prompt.messages for prompt in bundled_prompts("chat", 128))
