"""The proxies that the environment names: http_proxy, https_proxy and all_proxy, with the exceptions of no_proxy."""

from __future__ import annotations

import os
from collections.abc import Iterator

from sdk.transport.base import Origin

_VARIABLES = ("http_proxy", "https_proxy", "all_proxy")


def variables_set() -> list[str]:
    """The environment variables that name a proxy, spelled as they are set."""
    return [name for name in os.environ if name.lower() in _VARIABLES]


def proxy_urls() -> Iterator[str]:
    """The addresses of all proxies, which may contain passwords."""
    for name in _VARIABLES:
        for variable in (name, name.upper()):
            if url := os.environ.get(variable):
                yield url


def needs_proxy(origin: Origin) -> bool:
    """Whether requests to `origin` must go through a proxy."""
    names = (f"{origin.scheme}_proxy", "all_proxy")
    if not any(os.environ.get(name) or os.environ.get(name.upper()) for name in names):
        return False  # without a slow import
    return _proxy_url(origin) is not None


def shown_proxy(origin: Origin) -> str | None:
    """The proxy for `origin`, without its user name and password; None without a proxy."""
    url = _proxy_url(origin)
    if url is None:
        return None
    scheme, _, rest = url.rpartition("://")
    return f"{scheme or 'http'}://{rest.rpartition('@')[2]}"


def _proxy_url(origin: Origin) -> str | None:
    from urllib.request import getproxies, proxy_bypass  # slow to import, and rarely needed

    proxies = getproxies()
    url = proxies.get(origin.scheme) or proxies.get("all")
    return url if url and not proxy_bypass(origin.authority) else None
