"""The prefix under which a proxy serves this server. Some proxies strip it from requests, others keep it."""

from __future__ import annotations

from starlette.types import Scope

_OWN_PATHS = ("/v1", "/tokenize", "/detokenize", "/health", "/ping", "/ready", "/load", "/metrics", "/version")


def checked_root_path(text: str) -> str:
    """The prefix without a trailing slash: `/llm` for `/llm/`, empty for `/`. Raises `ValueError`."""
    path = text.rstrip("/")
    if path and not path.startswith("/"):
        raise ValueError(f"--root-path must begin with a slash, such as /{path.lstrip('/')} (got {text!r})")
    if "//" in path or any(character in "?#%" or not 0x20 < ord(character) < 0x7F for character in path):
        raise ValueError(f"--root-path must be a valid path of a URL, such as /llm (got {text!r})")
    if path in _OWN_PATHS:
        raise ValueError(f"--root-path {path} is a path of the server itself; choose another prefix, such as /llm")
    return path


def own_path(scope: Scope) -> str:
    """The path without the prefix, as the server's routes name it."""
    path: str = scope["path"]
    return path.removeprefix(scope.get("root_path", ""))


def with_root_path(scope: Scope, root_path: str) -> Scope:
    """The scope in ASGI's form: `root_path` is the prefix, and `path` begins with it."""
    root_path, path = scope.get("root_path") or root_path, scope["path"]
    if path != root_path and not path.startswith(f"{root_path}/"):
        path = root_path + path
    return {**scope, "root_path": root_path, "path": path}
