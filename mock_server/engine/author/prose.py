"""The simulated model's answers: readable sentences, a pure function of a key.

The key is a digest of model, adapter, prompt, seed and choice. The batch in which a request ran does not matter.
"""

from __future__ import annotations

import hashlib
import math
import random
import re
import tomllib
from array import array
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from functools import lru_cache
from itertools import islice, repeat
from pathlib import Path
from typing import Any, NamedTuple, TypeVar

from mock_server.engine.author.chat_template import write_call
from mock_server.engine.author.drawing.budget import Budget
from mock_server.engine.author.drawing.problems import TooMuchWorkError
from mock_server.engine.author.likelihood import Edits, Likelihood, WeighedTokens
from mock_server.engine.author.prompt_reading import Conversation, PromptReader
from mock_server.engine.author.structured_text import StructuredWriter, first_call
from mock_server.engine.author.tokenizer import Tokenizer
from mock_server.engine.base import GenerationParams, PositionLogprobs

_T = TypeVar("_T")

_DATA = Path(__file__).with_name("data") / "prose.toml"
_TEMPLATES = ("templates", "adapter_first", "adapter_templates")
_SLOT = re.compile(r"\{(\w+)\}")
_HAN = re.compile(r"[一-鿿]")
_LETTER = re.compile(r"[A-Za-z]")
_SENTENCES_OF_THOUGHT = {"minimal": 1, "low": 2, "medium": 4, "high": 8}
_FEW_CHARACTERS = 500  # of bad words, encoded in a millisecond
_WORD_LISTS_KEPT = 16
_LETTERS_PER_HAN = 4  # a Chinese character says about as much as four Latin letters

# Where a model would stop on its own: log-normal, in tokens.
_LENGTH_MEDIAN, _LENGTH_SIGMA, _LENGTH_MIN, _LENGTH_MAX = 120, 0.55, 8, 2000


_Template = list[str]
"""Text and names of slots, alternating, text first."""


@dataclass(frozen=True, slots=True)
class _Language:
    joiner: str
    templates: dict[str, list[_Template]]
    slots: dict[str, list[str]]
    """Word lists by name."""


class _Opening(NamedTuple):
    """How an answer begins. `is_whole`: this is the whole answer."""

    text: str = ""
    is_whole: bool = False


_NO_OPENING = _Opening()


class Author:
    """Writes for one model. `seed` is used for sampled requests that have none."""

    def __init__(self, tokenizer: Tokenizer, model: str, seed: int = 0) -> None:
        self.tokenizer = tokenizer
        self._model = model
        self._seed = seed
        self._reader = PromptReader(tokenizer)
        self._likelihood = Likelihood(tokenizer.vocab_size, tokenizer.first_piece)
        tables = tomllib.loads(_DATA.read_text("utf-8"))
        self._languages = {name: _language(table) for name, table in tables.items()}
        self._word_tokens = lru_cache(_WORD_LISTS_KEPT)(self._encode_words)

    def takes_long(self, prompt_token_ids: Sequence[int], params: GenerationParams) -> bool:
        """Whether the client's schema, expression, tools or bad words determine how long `tokens` takes."""
        return (
            params.structured_output is not None or bool(params.bad_words) or self._reader.has_wishes(prompt_token_ids)
        )

    def tokens(
        self,
        prompt_token_ids: Sequence[int],
        params: GenerationParams,
        adapter: str | None,
        budget: Budget | None = None,
    ) -> list[Iterator[int]]:
        """The endless tokens of each of `params.n` choices. They include the end of sequence unless it is ignored.

        Raises `RequestRefusedError` if no answer is found for the structured output. With the budget of a trial, it
        raises `TooMuchWorkError` for a request that needs a larger one.
        """
        language = self._languages[self.prompt_language(prompt_token_ids)]
        seed = "greedy" if params.greedy else str(self._seed if params.seed is None else params.seed)
        digest = hashlib.blake2b(array("I", prompt_token_ids).tobytes(), digest_size=16)
        digest.update(f"\0{self._model}\0{adapter or ''}\0{seed}".encode())
        weigh = self._weighing(params, budget)
        wanted = params.structured_output
        wishes = self._wishes(prompt_token_ids) if wanted is None else None
        if budget is None and (wanted is not None or wishes is not None):
            budget = Budget.for_answers(params.n)
        writer = None
        if wanted is not None and budget is not None:
            writer = StructuredWriter(wanted, budget, lambda: self.tokenizer.decode(prompt_token_ids))
        choices = []
        text = ""
        for index in range(params.n):
            key = digest.copy()
            key.update(f"\0{0 if params.greedy else index}".encode())  # all greedy choices are the same
            source = random.Random(key.digest())
            if writer is not None:
                if not index or not params.greedy:
                    text = writer.text(source)
                tokens = self._repeat_the_end(text)
            else:
                opening = _NO_OPENING
                if wishes is not None and budget is not None:
                    opening = _opening(wishes, language, source, adapter, budget)
                if opening.is_whole:
                    tokens = self._repeat_the_end(opening.text)
                else:
                    length = None if params.ignore_eos else max(_draw_length(source), params.min_tokens)
                    tokens = self._write(language, source, adapter, length, opening.text)
            choices.append(weigh(tokens, key.hexdigest()) if weigh is not None else tokens)
        return choices

    def prompt_logprobs(
        self, prompt_token_ids: Sequence[int], params: GenerationParams
    ) -> list[PositionLogprobs | None] | None:
        """None if they were not requested."""
        top = params.prompt_logprobs
        return None if top is None else self._likelihood.prompt(prompt_token_ids, top)

    def _weighing(
        self, params: GenerationParams, budget: Budget | None
    ) -> Callable[[Iterator[int], str], Iterator[int]] | None:
        """None if the request neither asks for likelihoods nor restricts tokens."""
        wants_others = params.bad_words or params.allowed_token_ids or params.logit_bias
        if params.logprobs is None and not wants_others:
            return None
        edits = Edits({}, None)
        if wants_others and params.structured_output is None:  # its tokens cannot be exchanged
            if budget is not None and budget.is_trial and sum(map(len, params.bad_words)) > _FEW_CHARACTERS:
                raise TooMuchWorkError("the bad words are too long to be encoded at once")
            edits = Edits(
                params.logit_bias, tuple(params.allowed_token_ids) or None, self._word_tokens(tuple(params.bad_words))
            )
        if params.logprobs is None and edits.is_empty:
            return None
        return lambda tokens, key: WeighedTokens(tokens, self._likelihood, edits, params, key)

    def _encode_words(self, words: tuple[str, ...]) -> list[list[int]]:
        """Each word with and without a leading space. Cached, since all prompts of a request have the same words."""
        return [self.tokenizer.encode(form) for word in words for form in (word, " " + word)]

    def _repeat_the_end(self, text: str) -> Iterator[int]:
        """Repeats the end of sequence: the model has nothing more to say."""
        for piece in self.tokenizer.pieces(text):
            yield from piece
        yield from repeat(self.tokenizer.eos_token_id)

    def _wishes(self, prompt_token_ids: Sequence[int]) -> Conversation | None:
        """None if the prompt offers no tools and asks for no reasoning."""
        return self._reader.read(prompt_token_ids) if self._reader.has_wishes(prompt_token_ids) else None

    def prompt_language(self, prompt_token_ids: Sequence[int]) -> str:
        """The main language of the last message, "chinese" or "english"."""
        text = self.tokenizer.decode(self._last_message(prompt_token_ids))
        return "chinese" if _LETTERS_PER_HAN * len(_HAN.findall(text)) > len(_LETTER.findall(text)) else "english"

    def _last_message(self, prompt_token_ids: Sequence[int]) -> Sequence[int]:
        user, end = self.tokenizer.special_ids["<|user|>"], self.tokenizer.eos_token_id
        for start in range(len(prompt_token_ids) - 1, -1, -1):
            if prompt_token_ids[start] == user:
                rest = list(prompt_token_ids[start + 1 :])
                return rest[: rest.index(end)] if end in rest else rest
        return prompt_token_ids

    def _write(
        self, language: _Language, source: random.Random, adapter: str | None, length: int | None, opening: str = ""
    ) -> Iterator[int]:
        encode = self.tokenizer.encode
        if opening:
            yield from encode(opening)
        written = 0
        ended = length is None
        for sentence in _sentences(language, source, adapter):
            token_ids = encode(sentence)
            yield from token_ids
            written += len(token_ids)
            if not ended and length is not None and written >= length:
                ended = True
                yield self.tokenizer.eos_token_id


def _opening(
    wishes: Conversation, language: _Language, source: random.Random, adapter: str | None, budget: Budget
) -> _Opening:
    """Begins with thoughts if requested, and with a call if tools are offered and the user has the last word.

    The call is of the function that the message names, else of the first. If its schema cannot be satisfied, another
    function is called, or none.
    """
    text = ""
    if wishes.effort is not None:
        sentences = islice(_sentences(language, source, adapter), _SENTENCES_OF_THOUGHT.get(wishes.effort, 4))
        text = f"<think>\n{''.join(sentences)}\n</think>\n\n"
    last = wishes.last
    if not wishes.functions or last is None or last.role != "user":
        return _Opening(text)
    by_name = sorted(wishes.functions, key=lambda function: function["name"] not in last.content)
    call = first_call(by_name, source, budget)
    return _Opening(text) if call is None else _Opening(text + write_call(*call), is_whole=True)


def _language(table: dict[str, Any]) -> _Language:
    lists = {name: words for name, words in table.items() if name != "joiner"}
    templates: dict[str, list[_Template]] = {
        name: [_SLOT.split(template) for template in lists.pop(name)] for name in _TEMPLATES
    }
    return _Language(table["joiner"], templates, lists)


def _draw_length(source: random.Random) -> int:
    drawn = source.lognormvariate(math.log(_LENGTH_MEDIAN), _LENGTH_SIGMA)
    return int(min(max(drawn, _LENGTH_MIN), _LENGTH_MAX))


def _sentences(language: _Language, source: random.Random, adapter: str | None) -> Iterator[str]:
    """Endless sentences, each with its separator from the previous one. A paragraph has four to six."""
    templates = language.templates["adapter_templates" if adapter else "templates"]
    first = _choose(language.templates["adapter_first"], source) if adapter else None
    joiner = ""
    last = -1
    while True:
        for _ in range(4 + int(3 * source.random())):
            if first is not None:
                template, first = first, None
            else:  # any except the one just used
                number = int((len(templates) - 1) * source.random())
                last = number + (number >= last >= 0)
                template = templates[last]
            yield joiner + _fill(template, language, source, adapter or "")
            joiner = language.joiner
        joiner = "\n\n"


def _choose(things: Sequence[_T], source: random.Random) -> _T:
    return things[int(len(things) * source.random())]


def _fill(template: _Template, language: _Language, source: random.Random, adapter: str) -> str:
    """Fills the slots. A capital in a slot's name capitalizes the first letter of its text."""
    parts = list(template)
    for at in range(1, len(parts), 2):
        slot = parts[at]
        words = language.slots.get(slot)
        if words is not None:
            parts[at] = _choose(words, source)
        elif slot == "adapter":
            parts[at] = adapter
        else:
            text = _choose(language.slots[slot.lower()], source)
            parts[at] = text[0].upper() + text[1:]
    return "".join(parts)
