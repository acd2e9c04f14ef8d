"""`from mock_server import Tokenizer` replaces this path, which stays for programs that use it."""

from __future__ import annotations

from mock_server.engine.author.tokenizer import Tokenizer as Tokenizer
