"""The certificate of a machine: the largest load that it was shown to measure within a stated error."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path

import msgspec

from bench.records.run import Certificate

FILE = "certificate.json"


def machine_name(environment: Mapping[str, object]) -> str:
    """What a certificate holds for: the processor and its cores, the system, the Python, the event loop."""
    cores = f"{environment.get('cores')} cores"
    named = (environment.get(name) for name in ("system", "python", "event_loop"))
    return " · ".join(str(part) for part in (environment.get("cpu") or "unknown processor", cores, *named))


def save_certificate(folder: Path, certificate: Certificate) -> Path:
    """Keep it beside the results. Raises OSError."""
    folder.mkdir(parents=True, exist_ok=True)
    path = folder / FILE
    path.write_bytes(msgspec.json.format(msgspec.json.encode(certificate), indent=2) + b"\n")
    return path


def load_certificate(folder: Path, machine: str) -> Certificate | None:
    """The one that stands beside the results, if it was issued to this machine."""
    try:
        found = msgspec.json.decode((folder / FILE).read_bytes(), type=Certificate)
    except (OSError, ValueError, RecursionError):  # none, or of another version
        return None
    return found if found.machine == machine else None
