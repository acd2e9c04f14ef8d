"""Runs the quantizer on a model, in the environment that has it."""

from __future__ import annotations

import json
import os
import subprocess
import tempfile
from collections.abc import Callable, Sequence
from pathlib import Path

from mock_server.dataset.sample import Sample
from mock_server.export.errors import ExportError
from mock_server.export.plan import Quantization
from mock_server.training.disk import full_disk

Say = Callable[[str], None]
_PROGRAM = Path(__file__).with_name("quantizer_program.py")
_NOISE = ("PYTHONPATH", "PYTHONHOME", "VIRTUAL_ENV")
_GRACE_S = 5


def quantize(python: Path, model: Path, folder: Path, plan: Quantization, samples: Sequence[Sample], say: Say) -> None:
    """Fills the folder with the model in four bits. Raises `ExportError`."""
    rows = [
        [*(message._asdict() for message in sample.messages), *_answer(sample)] for sample in samples[: plan.samples]
    ]
    job = {"model": str(model), "folder": str(folder), "method": plan.method, "rows": rows, "length": plan.length}
    with tempfile.TemporaryDirectory(prefix="quantize-") as place:
        file = Path(place) / "job.json"
        file.write_text(json.dumps(job, ensure_ascii=False), "utf-8")
        with (Path(place) / "errors").open("w+", encoding="utf-8", errors="replace") as errors:
            code = _run([str(python), "-I", str(_PROGRAM), str(file)], place, errors.fileno(), say)
            errors.seek(0)
            last = ([line.strip() for line in errors if line.strip()] or [f"it ended with code {code}"])[-1]
    if code:
        reason = "no space left on the disk: free some" if full_disk(OSError(last)) else last
        raise ExportError(f"{model} cannot be quantized: {reason}")


def _answer(sample: Sample) -> list[dict[str, str]]:
    return [] if sample.response is None else [{"role": "assistant", "content": sample.response}]


def _run(command: list[str], place: str, errors: int, say: Say) -> int:
    """Shows the lines that the program prints for people. It never outlives this call."""
    environment = {name: value for name, value in os.environ.items() if name not in _NOISE}
    environment.setdefault("OMP_WAIT_POLICY", "passive")
    with subprocess.Popen(  # noqa: S603 - our own program
        command, cwd=place, env=environment, stdin=subprocess.PIPE, stdout=subprocess.PIPE, stderr=errors, text=True
    ) as program:
        try:
            for line in program.stdout or ():
                if line.startswith(("quantizing", "calibrating")):
                    say(line.rstrip())
            return program.wait()
        except BaseException:
            program.terminate()
            try:
                program.wait(_GRACE_S)
            except subprocess.TimeoutExpired:
                program.kill()
            raise
