"""`from mock_server import Tokenizer` replaces this path, which stays for programs that use it."""

from mock_server.engine.author.tokenizer import Tokenizer as Tokenizer
