"""How near an answer is to the wanted one: exact match, and ROUGE-L over words and Chinese characters."""

from __future__ import annotations

import re
from typing import Any

_CHARACTERS_ALONE = "\u3040-\u30ff\u3400-\u4dbf\u4e00-\u9fff\uf900-\ufaff\U00020000-\U0003ffff"
_WORD = re.compile(rf"[{_CHARACTERS_ALONE}]|(?:(?![{_CHARACTERS_ALONE}])[^\W_])+")


class Words:
    """Splits text as rouge-score's tokenizers do, for any language: Chinese and Japanese have no spaces, so each of
    their characters is a word.
    """

    def tokenize(self, text: str) -> list[str]:
        return _WORD.findall(text.casefold())


class Scorer:
    """Raises `ImportError` without rouge-score."""

    def __init__(self) -> None:
        from rouge_score.rouge_scorer import RougeScorer

        self._rouge: Any = RougeScorer(["rougeL"], tokenizer=Words())

    def rouge_l(self, response: str, label: str) -> float:
        """The F-measure, from 0 to 1. Texts that are equal get 1, also if they have no words."""
        if is_exact(response, label):
            return 1.0
        return float(self._rouge.score(label, response)["rougeL"].fmeasure)


def is_exact(response: str, label: str) -> bool:
    """Whether they are equal, apart from space around them."""
    return response.strip() == label.strip()
