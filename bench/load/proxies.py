"""Proxies that the environment names: a load test bypasses them and reports that. Pure."""

from __future__ import annotations

from collections.abc import Mapping

from bench.target import TargetAddress


def unused_proxy(address: TargetAddress, environment: Mapping[str, str]) -> str | None:
    """The variable of the proxy that other programs would use for this address, if any."""
    origin = address.api.origin
    names = [f"{origin.scheme}_proxy", "all_proxy"]
    set_ones = (name for base in names for name in (base, base.upper()) if environment.get(name))
    variable = next(set_ones, None)
    if variable is None:
        return None
    # slow to import and rarely needed; typeshed does not know it
    from urllib.request import proxy_bypass_environment  # type: ignore[attr-defined]

    exceptions = environment.get("no_proxy") or environment.get("NO_PROXY") or ""
    return None if proxy_bypass_environment(origin.authority, {"no": exceptions}) else variable


def proxy_note(variable: str) -> str:
    """The note about it."""
    return f"{variable} is set but not used: the bench measures the server itself, not a proxy"
