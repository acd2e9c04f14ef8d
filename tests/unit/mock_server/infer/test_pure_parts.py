"""What `infer` reads and shows, without a model."""

from __future__ import annotations

import io
import json

import pytest
from hypothesis import given
from hypothesis import strategies as st

from mock_server.infer.chat_commands import COMMANDS, Command, CommandError, help_text, read_input
from mock_server.infer.conversation import Conversation, ConversationError, read_conversation
from mock_server.infer.figures import AnswerFigures
from mock_server.infer.line_editor import history_file, is_open_block, without_block
from mock_server.infer.scoring import Scorer, Words, is_exact
from mock_server.infer.settings import SettingError, Settings
from mock_server.infer.speaker import Speaker, UnknownModelError, find_speaker
from mock_server.infer.terminal import Terminal, visible

TEXTS = st.text(max_size=30)


@pytest.mark.parametrize(
    ("typed", "read"),
    [
        ("hello /there", "hello /there"),
        ("//etc/hosts", "/etc/hosts"),
        ("/help", Command("help")),
        ("/SET top_p=1  seed=2 ", Command("set", "top_p=1  seed=2")),
        ("/system Be brief.\nAlways.", Command("system", "Be brief.\nAlways.")),
        ("/quit", Command("exit")),
        ("/save a b.jsonl", Command("save", "a b.jsonl")),
    ],
)
def test_what_is_typed_is_a_question_or_a_command(typed: str, read: str | Command) -> None:
    assert read_input(typed) == read


@pytest.mark.parametrize(
    ("typed", "told"),
    [
        ("/sytem x", "/sytem is not a command. Did you mean /system?"),
        ("/zzz", "/zzz is not a command. /help lists them."),
        ("/ help", "/ is not a command."),
        ("/clear all", "/clear takes nothing after it"),
        ("/save", "/save needs a file: write /save FILE"),
    ],
)
def test_a_wrong_command_is_told_with_the_remedy(typed: str, told: str) -> None:
    with pytest.raises(CommandError) as caught:
        read_input(typed)
    assert str(caught.value).startswith(told)


@pytest.mark.parametrize("width", [20, 60, 100])
def test_the_help_names_every_command_and_fits(width: int) -> None:
    shown = help_text(width)
    assert all(f"/{name}" in shown for name in COMMANDS)
    assert "Alt-Enter" in shown
    assert max(map(len, shown.splitlines())) <= max(width, 48)


@given(st.lists(st.tuples(TEXTS, TEXTS), max_size=3), st.none() | TEXTS)
def test_a_conversation_survives_its_file(turns: list[tuple[str, str]], system: str | None) -> None:
    line = Conversation(system, turns).json_line()
    assert "\n" not in line
    assert read_conversation(line) == Conversation(system, turns)


@given(st.text())
def test_any_other_text_is_refused_as_a_conversation(line: str) -> None:
    with pytest.raises(ConversationError):
        read_conversation(line)


@pytest.mark.parametrize(
    "messages",
    [None, "text", [1], [{"role": "user"}], [{"role": "tool", "content": ""}], [{"role": "user", "content": "a"}]],
)
def test_rows_that_are_no_conversation_are_refused(messages: object) -> None:
    with pytest.raises(ConversationError):
        read_conversation(json.dumps({"messages": messages}))


def test_settings_are_changed_all_or_none_and_taken_back() -> None:
    settings = Settings({"temperature": 0.5})
    settings.change(["top_p=0.9", "max_new_tokens=7", "seed=3", "stop=a b"])
    assert settings.request() == {"temperature": 0.5, "top_p": 0.9, "max_tokens": 7, "seed": 3, "stop": "a b"}
    assert str(settings) == "temperature=0.5 top_p=0.9 max_tokens=7 seed=3 stop=a b"
    with pytest.raises(SettingError, match=r"top_p: .*1.* \(got 7\)"):
        settings.change(["seed=4", "top_p=7"])
    assert settings.request()["seed"] == 3
    settings.change([f"{name}=default" for name in list(settings.request())])
    assert settings.request() == {}
    assert str(settings) == "all settings are default"


@pytest.mark.parametrize(
    ("word", "told"),
    [
        ("tempreature=1", "Did you mean temperature?"),
        ("temperature", "write temperature=VALUE"),
        ("temperature=warm", "temperature=warm is not a number"),
        ("max_tokens=0", "max_tokens: .*got 0"),
        ("seed=1.5", "seed: .*got 1.5"),
        ("temperature=nan", "temperature: "),
        ("stream=true", "stream is not a setting"),
    ],
)
def test_a_wrong_setting_is_told_with_the_remedy(word: str, told: str) -> None:
    with pytest.raises(SettingError, match=told) as caught:
        Settings({}).change([word])
    assert "\n" not in str(caught.value)


@pytest.mark.parametrize(
    ("text", "is_open", "inner"),
    [
        ("hello", False, "hello"),
        ('"""', True, None),
        ('"""a', True, None),
        ('"""a\nb', True, None),
        ('"""a\nb"""', False, "a\nb"),
        ('"""\na\n"""', False, "a"),
        ('"""a""" b', True, None),
        ('""""""', False, ""),
        ("  two  ", False, "  two  "),
    ],
)
def test_a_block_goes_on_until_it_is_closed(text: str, is_open: bool, inner: str | None) -> None:
    assert is_open_block(text) is is_open
    if inner is not None:
        assert without_block(text) == inner


def test_the_history_is_where_the_environment_says() -> None:
    assert str(history_file({"XDG_STATE_HOME": "/s"})) == "/s/streamgauge/infer_history"
    assert str(history_file({"XDG_STATE_HOME": "relative"})).endswith("/.local/state/streamgauge/infer_history")


@given(st.text())
def test_nothing_that_a_model_writes_controls_the_terminal(text: str) -> None:
    shown = visible(text)
    assert not any(ord(character) < 32 and character not in "\n\t" for character in shown)
    assert "\x7f" not in shown
    assert "\u202e" not in shown


def test_what_is_harmless_is_shown_as_it_is() -> None:
    text = "你好，世界 👩‍🔬 naïve\n\tend"
    assert visible(text) == text
    assert visible("\x1b]0;x\x07") == "\\x1b]0;x\\x07"


def test_without_a_terminal_text_stays_as_it_is_and_has_no_style() -> None:
    out, err = io.StringIO(), io.StringIO()
    terminal = Terminal(out, err, {})
    terminal.answer("\x1b[31mred")
    terminal.thoughts("hm")
    terminal.remark("done")
    terminal.passing("wait")
    terminal.note("careful")
    assert out.getvalue() == "\x1b[31mreddone\n"
    assert err.getvalue() == "careful\n"


def test_words_are_those_of_any_language() -> None:
    assert Words().tokenize("Hello, 世界! naïve_x 2nd カナ") == ["hello", "世", "界", "naïve", "x", "2nd", "カ", "ナ"]


def test_rouge_l_compares_chinese_by_characters() -> None:
    scorer = Scorer()
    # four of five characters in order: precision 1, recall 4/5
    assert scorer.rouge_l("中国首都", "中国的首都") == pytest.approx(2 * 0.8 / 1.8)
    assert scorer.rouge_l("the cat sat", "the dog sat") == pytest.approx(2 / 3)
    assert scorer.rouge_l("", "answer") == 0
    assert scorer.rouge_l(" ?! ", "?!") == 1
    assert is_exact(" a\n", "a")
    assert not is_exact("A", "a")


def test_the_pace_is_that_after_the_first_token() -> None:
    figures = AnswerFigures(tokens=11, ttft_s=0.5, latency_s=2.5)
    assert figures.tokens_per_s == 5
    assert str(figures) == "11 tokens · 5.0 tokens/s · TTFT 0.50 s"
    assert str(AnswerFigures(tokens=1, ttft_s=0.5, latency_s=0.5)) == "1 token · TTFT 0.50 s"
    assert str(AnswerFigures()) == ""


def test_a_speaker_is_found_by_name() -> None:
    known = [Speaker("base", True, None), Speaker("my_tuner", True, None)]
    assert find_speaker(known, None) == known[0]
    assert find_speaker(known, "my_tuner") == known[1]
    with pytest.raises(
        UnknownModelError, match=r"my-tuner is not served; there are: base, my_tuner\. Did you mean my_"
    ):
        find_speaker(known, "my-tuner")
    with pytest.raises(UnknownModelError, match="no models"):
        find_speaker([], None)
