"""Limits of one request, and of all requests together. `request_cost` checks a request against them."""

from __future__ import annotations

from dataclasses import dataclass

# Lengths that no operator needs to change; the fields in `request.bodies` use them.
MAX_N = 128
MAX_STOP_STRINGS = 16
MAX_STOP_LENGTH = 1_000
MAX_STOP_TOKENS = 1_000
MAX_BAD_WORDS = 1_000
MAX_BIASES = 20_000
MAX_ALLOWED_TOKENS = 200_000
MAX_TOOLS = 128
MAX_LABEL_LENGTH = 1_000
"""Characters of a name or id in a message, which templates write between the texts."""
MAX_EFFORT_LENGTH = 32
MAX_LOADED_ADAPTERS = 64
"""Adapters loaded over the API, in addition to those named at startup."""

MAX_POINTED_INTEGERS = 200_000
"""Items of a list that contains integers written as 5.0."""

MAX_ITEMS_OF_ALL_CHOICES = 1_000_000
"""Items of a list of tokens, biases or words, counted once for each choice."""

MAX_PROMPT_LIKELIHOODS = 100_000
"""Log probabilities of prompts in one answer: each takes a hundred bytes or more until the answer is sent."""
MAX_ANSWER_LIKELIHOODS = 500_000
"""Log probabilities of generated tokens in an answer that is not streamed."""
MAX_PATTERN_SIZE = 100_000
"""Characters of a regular expression with every counted repetition written out."""
MAX_PATTERNS = 5_000
"""Regular expressions of a request."""
MAX_PATTERN_PARTS = 20_000
"""Groups, sets, escapes and counted repetitions of all regular expressions of a request."""
MAX_GRAMMAR_PARTS = 50_000
"""Brackets, quotes, slashes and comment signs in a grammar."""
MAX_GROUP_NESTING = 60
"""Parentheses within parentheses, in regular expressions and grammars."""
MAX_NESTING = 200
"""Objects and arrays within each other, if an engine or a template walks through them."""
MAX_ALTERNATIVES_NESTING = 16
"""`oneOf`, `anyOf` and `allOf` within each other."""
MAX_SCHEMA_VALUES = 100_000
"""Values of all schemas of a request. The default limit on their characters allows no more."""
MAX_ARGUMENTS_LENGTH = 2_000_000
"""Characters of the arguments of all calls in a conversation."""
MAX_ARGUMENTS_VALUES = 100_000
MAX_BAD_WORDS_LENGTH = 50_000
"""Characters of all words together."""
SCHEMAS_OF_ALL_CHOICES = 40
"""A request's schemas may have this many times the characters of one schema, counted once for each choice."""
BYTES_A_CHOICE = 8 * 1024
"""Roughly the memory of a choice in progress. Larger bodies and answers count as several choices."""
BYTES_A_LIKELIHOOD = 200
"""The memory of a log probability until the answer is sent."""


@dataclass(frozen=True, slots=True)
class RequestLimits:
    """Limits that an operator may change; 0 means no limit."""

    choices: int = 4_096
    """Choices of one request: prompts × `n`."""
    choices_in_progress: int = 16_384
    """Choices of all requests."""
    answer_tokens: int = 2 * 1024 * 1024
    """Tokens of all choices together, in an answer that is not streamed. Prompts in the answer count as well."""
    schema_characters: int = 200_000
    """Characters of a schema, pattern or grammar, and of the parameters of all tools together."""


DEFAULT_LIMITS = RequestLimits()
