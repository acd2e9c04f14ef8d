"""The chat in the terminal: questions, commands, and answers that are shown as they are written."""

from __future__ import annotations

import shlex
from collections.abc import Callable, Sequence
from pathlib import Path

from mock_server.infer.chat_commands import MARK, Command, CommandError, help_text, read_input
from mock_server.infer.conversation import Conversation, ConversationError, read_conversation
from mock_server.infer.line_editor import LineEditor, without_block
from mock_server.infer.settings import SettingError, Settings
from mock_server.infer.speaker import Answer, Speaker, UnknownModelError, find_speaker
from mock_server.infer.terminal import Terminal, visible
from sdk import InferenceClient, SDKError

_PROMPT = "> "
_OFF = "off"


class Chat:
    """`check` raises if the model cannot answer any more, which ends the chat."""

    def __init__(
        self,
        client: InferenceClient,
        known: Sequence[Speaker],
        speaker: Speaker,
        settings: Settings,
        conversation: Conversation,
        terminal: Terminal,
        check: Callable[[], None],
    ) -> None:
        self._client = client
        self._known = known
        self._speaker = speaker
        self._settings = settings
        self._conversation = conversation
        self._terminal = terminal
        self._check = check
        self._unanswered: str | None = None
        self._has_hinted = False
        self._commands: dict[str, Callable[[str], None]] = {
            "help": lambda rest: self._terminal.line(help_text(self._terminal.width)),
            "clear": self._clear,
            "system": self._system,
            "set": self._set,
            "model": self._model,
            "retry": self._retry,
            "save": self._save,
            "load": self._load,
        }

    def run(self, editor: LineEditor) -> None:
        """Raises what `check` raises."""
        self._greet()
        while True:
            try:
                asked = read_input(without_block(editor.read(_PROMPT)))
                if isinstance(asked, str):
                    if asked.strip():
                        self._ask(asked)
                elif asked.name == "exit":
                    return
                else:
                    self._follow(asked)
            except CommandError as error:
                self._terminal.note(str(error))
            except KeyboardInterrupt:
                self._hint()
            except EOFError:
                return

    def _greet(self) -> None:
        speaker = self._speaker
        context = "" if speaker.context is None else f" · {speaker.context:,} tokens of context"
        self._terminal.line(f"{visible(speaker.name)}{context}")
        if not speaker.is_chat:
            self._terminal.line("It is a base model: it continues each text by itself, without the earlier ones.")
        self._terminal.remark("/help lists the commands. Ctrl-C stops an answer, Ctrl-D ends the chat.")

    def _hint(self) -> None:
        if not self._has_hinted:
            self._has_hinted = True
            self._terminal.remark("Ctrl-D or /exit ends the chat.")

    def _ask(self, question: str) -> None:
        self._unanswered = question
        messages = self._conversation.asked(question)
        answer = Answer(self._client, self._speaker, messages, self._settings.request())
        try:
            self._show(answer)
        except KeyboardInterrupt:
            self._stopped(question, answer)
        except SDKError as error:
            if answer.text:
                self._terminal.line()
            self._check()
            self._terminal.note(f"error: {error.message}")
            self._terminal.remark("The question is not part of the conversation. /retry asks it again.")
        else:
            cut = ["cut off at the limit of tokens"] if answer.is_cut_off else []
            self._ended(question, answer, *cut)

    def _stopped(self, question: str, answer: Answer) -> None:
        if answer.text:
            self._ended(question, answer, "stopped")
        else:
            self._terminal.line()
            self._terminal.remark("stopped; the question is not part of the conversation")

    def _show(self, answer: Answer) -> None:
        was_thought = False
        for piece in answer.pieces():
            if piece.is_thought:
                self._terminal.thoughts(piece.text)
            else:
                self._terminal.answer(f"\n\n{piece.text}" if was_thought else piece.text)
            was_thought = piece.is_thought

    def _ended(self, question: str, answer: Answer, *remarks: str) -> None:
        self._terminal.line()
        self._conversation.turns.append((question, answer.text))
        self._unanswered = None
        self._terminal.remark(" · ".join([*filter(None, [str(answer.figures)]), *remarks]))

    def _follow(self, command: Command) -> None:
        try:
            self._commands[command.name](command.rest)
        except (SettingError, UnknownModelError) as error:
            raise CommandError(str(error)) from None
        except OSError as error:
            raise CommandError(f"{MARK}{command.name} {command.rest}: {error.strerror or error}") from None

    def _clear(self, rest: str) -> None:
        self._conversation.turns.clear()
        self._unanswered = None
        self._terminal.remark("A new conversation begins.")

    def _system(self, text: str) -> None:
        if not self._speaker.is_chat:
            raise CommandError(f"{self._speaker.name} is a base model, which takes no system message")
        if text:
            self._conversation.system = None if text == _OFF else text
        shown = self._conversation.system
        self._terminal.remark("There is no system message." if shown is None else f"System message: {visible(shown)}")

    def _set(self, text: str) -> None:
        try:
            words = shlex.split(text)
        except ValueError as error:
            raise CommandError(f"{MARK}set {text}: {error}") from None
        self._settings.change(words)
        self._terminal.remark(str(self._settings))

    def _model(self, name: str) -> None:
        if name:
            self._speaker = find_speaker(self._known, name)
            self._terminal.remark(f"{name} answers from now on. The conversation stays.")
            return
        for each in self._known:
            mark = "*" if each == self._speaker else " "
            self._terminal.line(f"{mark} {visible(each.name)}{'' if each.is_chat else '  (base model)'}")

    def _retry(self, rest: str) -> None:
        question = self._unanswered
        if question is None:
            if not self._conversation.turns:
                raise CommandError("there is no question to ask again")
            question, _ = self._conversation.turns.pop()
        self._ask(question)

    def _save(self, name: str) -> None:
        if not self._conversation.turns:
            raise CommandError("there is no conversation to save")
        path = Path(name).expanduser()
        with path.open("a", encoding="utf-8", errors="backslashreplace") as file:
            file.write(self._conversation.json_line() + "\n")
        self._terminal.remark(f"{_turns(self._conversation)} added to {path}.")

    def _load(self, name: str) -> None:
        path = Path(name).expanduser()
        try:
            lines = [line for line in path.read_text("utf-8").split("\n") if line.strip()]
            if not lines:
                raise ConversationError("is empty")
            loaded = read_conversation(lines[-1])
        except (ConversationError, UnicodeDecodeError) as error:
            raise CommandError(f"{path} {error}") from None
        self._conversation.system, self._conversation.turns = loaded.system, loaded.turns
        self._unanswered = None
        self._terminal.remark(f"The conversation of {path} goes on ({_turns(loaded)}).")


def _turns(conversation: Conversation) -> str:
    count = len(conversation.turns)
    return f"{count} turn{'s' * (count != 1)}"
