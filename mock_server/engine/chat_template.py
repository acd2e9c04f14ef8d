"""The chat template of the bundled tokenizer: each message is its role's token, its text, and an end token."""

from collections.abc import Sequence

from .base import DEFAULT_CHAT, ChatOptions, ChatTurn
from .tokenizer import Tokenizer

_ROLE_TOKENS = {
    "system": "<|system|>",
    "developer": "<|system|>",
    "user": "<|user|>",
    "assistant": "<|assistant|>",
}


def render_chat(tokenizer: Tokenizer, turns: Sequence[ChatTurn], options: ChatOptions = DEFAULT_CHAT) -> list[int]:
    """Prompt ids. `continue_final` leaves the last message open, so that the model goes on with it."""
    special = tokenizer.special_ids
    ids: list[int] = []
    for turn in turns:
        token = _ROLE_TOKENS.get(turn.role)
        if token is not None:
            ids.append(special[token])
        else:
            ids += [special["<|role|>"], *tokenizer.encode(turn.role), special["<|content|>"]]
        ids += tokenizer.encode(turn.content)
        ids.append(special["<|end|>"])
    if options.continue_final:
        ids.pop()
    elif options.add_generation_prompt:
        ids.append(special["<|assistant|>"])
    return ids
