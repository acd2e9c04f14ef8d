"""The machine and the versions used for a run, for its file."""

from __future__ import annotations

import os
import platform
import sys
from importlib import metadata
from typing import Any


def describe_environment(loop: str) -> dict[str, Any]:
    """Facts that affect what a client can measure. None of them names a person or a key."""
    return {
        "python": f"{platform.python_implementation()} {platform.python_version()}",
        "system": f"{platform.system()} {platform.release()} {platform.machine()}",
        "cpu": _cpu_model(),
        "cores": os.cpu_count(),
        "cores_allowed": sorted(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else None,
        "event_loop": loop,
        "packages": {name: _version(name) for name in ("uvloop", "httptools", "msgspec", "numpy")},
        "gil": getattr(sys, "_is_gil_enabled", lambda: True)(),
    }


def _version(package: str) -> str | None:
    try:
        return metadata.version(package)
    except metadata.PackageNotFoundError:
        return None


def _cpu_model() -> str | None:
    try:
        with open("/proc/cpuinfo", encoding="utf-8") as lines:
            return next((line.partition(":")[2].strip() for line in lines if line.startswith("model name")), None)
    except OSError:
        return platform.processor() or None
