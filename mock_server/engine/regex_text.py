"""A text that a regular expression matches: drawn by rstr, and then checked by the expression itself."""

import random
import re
import warnings
from typing import Any

_MAX_DRAWS = 100
_MAX_LENGTH = 2_000


class UnsupportedRegexError(ValueError):
    """The expression is not valid, or no text was found that it matches."""


def text_matching(pattern: Any, source: random.Random, *, whole: bool = True) -> str:
    """`whole`: the text is a match from end to end, not only somewhere. Raises `UnsupportedRegexError`."""
    from rstr import Rstr

    if not isinstance(pattern, str):
        raise UnsupportedRegexError(f"a pattern must be a string (got {type(pattern).__name__})")
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")  # of what will be an error in a later Python
            compiled = re.compile(pattern)
            matches = compiled.fullmatch if whole else compiled.search
            drawing = Rstr(source)
            for _ in range(_MAX_DRAWS):
                text = drawing.xeger(pattern)
                if len(text) <= _MAX_LENGTH and matches(text):
                    return text
    except (re.error, RecursionError, OverflowError) as exc:
        raise UnsupportedRegexError(f"{pattern[:100]!r} is not a regular expression: {exc}") from None
    except (KeyError, IndexError, ValueError, TypeError) as exc:  # what rstr says of constructs that it does not know
        raise UnsupportedRegexError(f"the simulated engine finds no text for {pattern[:100]!r} ({exc!r})") from None
    raise UnsupportedRegexError(f"the simulated engine finds no text that {pattern[:100]!r} matches")
