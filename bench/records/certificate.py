"""The certificate of a machine: the largest load that it has been shown to measure within a stated error."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path

import msgspec

from bench.records.run import Certificate

FILE = "certificate.json"


def machine_name(environment: Mapping[str, object]) -> str:
    """The machine that a certificate applies to: processor and cores, system, Python, event loop."""
    cores = f"{environment.get('cores')} cores"
    named = (environment.get(name) for name in ("system", "python", "event_loop"))
    return " · ".join(str(part) for part in (environment.get("cpu") or "unknown processor", cores, *named))


def save_certificate(folder: Path, certificate: Certificate) -> Path:
    """Write the certificate next to the results. Raises OSError."""
    folder.mkdir(parents=True, exist_ok=True)
    path = folder / FILE
    path.write_bytes(msgspec.json.format(msgspec.json.encode(certificate), indent=2) + b"\n")
    return path


def load_certificate(folder: Path, machine: str) -> Certificate | None:
    """Read the certificate next to the results, if it was issued to this machine."""
    try:
        found = msgspec.json.decode((folder / FILE).read_bytes(), type=Certificate)
    except (OSError, ValueError, RecursionError):  # missing, or from another version
        return None
    return found if found.machine == machine else None
