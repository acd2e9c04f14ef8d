"""Finds words that a server's tokenizer counts as one token each, so that N words make a prompt of N tokens."""

from __future__ import annotations

from collections.abc import Awaitable, Callable

# Common words that are one token in nearly every tokenizer.
_TEXT = (
    "the of and to in is was for on that with as it by at from are this be or an which have had one all not his her "
    "they their we can more has when time some what there out up no who will into him two other its then do may first "
    "any my now such like our over man me even most made after also did many before must through back years where "
    "much your way well down should because each just those people how too little state good very make world still "
    "own see men work long get here between both life being under never day same another know while last might us "
    "great old year off come since against go came right used take three water house high part small found place "
    "end home hand school word white set group large light power city early near form line side name move land "
    "food book room door fire road tree sea sun north south story music paper letter field river stone winter summer"
)
WORDS = tuple(_TEXT.split())

_ENOUGH = 32


async def single_tokens(count_tokens: Callable[[str], Awaitable[int]]) -> tuple[list[str], int] | None:
    """Words that are one token each at any position, and how many tokens a prompt has besides its words.

    None when the server's tokenizer has too few of them. `count_tokens` counts a whole prompt, template included.
    """
    besides = None
    for anchor in WORDS[:4]:
        two, three = await count_tokens(f"{anchor} {anchor}"), await count_tokens(f"{anchor} {anchor} {anchor}")
        if three - two == 1:
            besides = two - 2
            break
    if besides is None or besides < 0:
        return None
    words: list[str] = []
    pending = [list(WORDS)]
    while pending:
        some = pending.pop()
        if await count_tokens(" ".join(some)) == besides + len(some):
            words += some
        elif len(some) > 1:
            middle = len(some) // 2
            pending += (some[:middle], some[middle:])
    return (words, besides) if len(words) >= _ENOUGH else None
