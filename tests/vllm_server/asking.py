"""Questions to a server, greedy unless said otherwise."""

from __future__ import annotations

from typing import Any

import httpx

from tests.contract.server.wire import chat, chat_events, texts

FRANCE = "What is the capital of France?"
PARIS = "The capital of France is Paris."
WHO = "who are you?"
XIAO_HUANG = "I am Xiao Huang, trained by ModelScope."


def ask(http: httpx.Client, question: str, **fields: Any) -> str:
    fields = {"temperature": 0, "max_tokens": 40, **fields}
    whole = chat(http, messages=[{"role": "user", "content": question}], **fields)
    return str(whole["choices"][0]["message"]["content"])


def ask_streaming(http: httpx.Client, question: str, **fields: Any) -> str:
    fields = {"temperature": 0, "max_tokens": 40, **fields}
    return texts(chat_events(http, messages=[{"role": "user", "content": question}], **fields))[0]
