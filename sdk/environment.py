"""The server and key that the environment names. The SDK and the load tester follow the same rule.

Arguments take precedence over the environment: an address over `OPENAI_BASE_URL`, a key over `OPENAI_API_KEY`.
"""

from __future__ import annotations

from collections.abc import Mapping

from sdk.address import Address, parse_address
from sdk.errors import ConfigError

BASE_URL_VARIABLE = "OPENAI_BASE_URL"
API_KEY_VARIABLE = "OPENAI_API_KEY"


def named_address(environment: Mapping[str, str]) -> Address | None:
    """The address that the environment names, or None. Raises ConfigError if it is not valid."""
    named = environment.get(BASE_URL_VARIABLE, "").strip()
    if not named:
        return None
    try:
        return parse_address(named)
    except ConfigError as error:
        raise ConfigError(error.problem, field=BASE_URL_VARIABLE, remedy=error.remedy, instead=error.instead) from None


def named_key(environment: Mapping[str, str]) -> str | None:
    """The key that the environment names, or None."""
    return environment.get(API_KEY_VARIABLE, "").strip() or None
