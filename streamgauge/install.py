"""How to install one of the extras: the command that works for the copy that is running."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

_NAME = "streamgauge"
_CODE = Path(__file__).resolve().parent.parent


def install_command(extra: str) -> str:
    """The `pip install …` that adds `extra` to this copy, be it a checkout, a wheel, or from a package index.

    What pip recorded about a direct install is read from `direct_url.json`
    (https://packaging.python.org/en/latest/specifications/direct-url/).
    """
    origin = _recorded_origin()
    if (_CODE / "pyproject.toml").is_file():
        editable = "-e " if _is_editable(origin) else ""
        where = "." if Path.cwd() == _CODE else str(_CODE)
        return f"pip install {editable}{_quoted(f'{where}[{extra}]')}"
    return f"pip install {_quoted(_requirement(origin, extra))}"


def _requirement(origin: dict[str, Any], extra: str) -> str:
    url = str(origin.get("url", ""))
    if (path := _local_path(url)) is not None:
        return f"{path}[{extra}]" if path.exists() else f"{path.name}[{extra}]"
    if url and (vcs := origin.get("vcs_info")):
        return f"{_NAME}[{extra}] @ {vcs['vcs']}+{url}@{vcs['commit_id']}"
    return f"{_NAME}[{extra}] @ {url}" if url else f"{_NAME}[{extra}]"


def _is_editable(origin: dict[str, Any]) -> bool:
    return _local_path(str(origin.get("url", ""))) == _CODE and bool(origin.get("dir_info", {}).get("editable"))


def _local_path(url: str) -> Path | None:
    if not url.startswith("file://"):
        return None
    from urllib.parse import urlsplit
    from urllib.request import url2pathname

    return Path(url2pathname(urlsplit(url).path))


def _recorded_origin() -> dict[str, Any]:
    """What pip recorded when it installed from a folder, a file or a repository; empty for installs by an index."""
    from importlib.metadata import PackageNotFoundError, distribution

    try:
        recorded = distribution(_NAME).read_text("direct_url.json")
    except PackageNotFoundError:
        return {}
    return dict(json.loads(recorded)) if recorded else {}


def _quoted(text: str) -> str:
    from shlex import quote

    return quote(text)
