"""An export from its plan to its folder."""

from __future__ import annotations

import os
import shutil
from collections.abc import Callable, Sequence
from pathlib import Path

from mock_server.dataset.sample import Sample
from mock_server.export.destination import check_destination, check_room, written_beside
from mock_server.export.errors import ExportError
from mock_server.export.plan import Merge, Plan
from mock_server.export.quantize import quantize
from mock_server.export.rest import copy_rest
from mock_server.training.disk import full_disk

Say = Callable[[str], None]
_QUIET = {
    "HF_HUB_DISABLE_PROGRESS_BARS": "1",
    "HF_HUB_OFFLINE": "1",
    "TQDM_DISABLE": "1",
    "TRANSFORMERS_VERBOSITY": "error",
}


def export(plan: Plan, *, quantizer: Path | None, samples: Sequence[Sample], overwrite: bool, say: Say) -> None:
    """Writes the plan's target, or nothing. `quantizer` is the interpreter that has it. Raises `ExportError`."""
    check_destination(plan.target, overwrite=overwrite)
    check_room(plan.target, plan.needed)
    try:
        with written_beside(plan.target) as folder:
            if plan.quantization is None or quantizer is None:
                _merge(plan.merge, folder, say)
                return
            model = plan.model
            if plan.merge is not None:
                model = folder / "merged"
                model.mkdir()
                _merge(plan.merge, model, say)
            result = folder / "quantized"
            result.mkdir()
            quantize(quantizer, model, result, plan.quantization, samples, say)
            copy_rest(model, result)
            _unpack(result, folder)
    except OSError as error:
        if full_disk(error):
            raise ExportError(f"no space left on the disk of {plan.target}: free some") from None
        raise ExportError(f"{plan.target} cannot be written: {error.strerror or error}") from None


def _merge(plan: Merge | None, folder: Path, say: Say) -> None:
    if plan is None:
        return
    say(f"merging {plan.adapter} into {plan.base} ({plan.dtype})")
    os.environ |= _QUIET
    os.environ.setdefault("OMP_WAIT_POLICY", "passive")
    from mock_server.export.merge import merge

    try:
        merge(plan, folder)
    except Exception as error:
        if full_disk(error):  # safetensors has an error of its own
            raise ExportError(f"no space left on the disk of {folder.parent}: free some") from None
        raise


def _unpack(result: Path, folder: Path) -> None:
    """Leaves nothing in the folder but the result's files."""
    for entry in folder.iterdir():
        if entry != result:
            shutil.rmtree(entry)
    for file in result.iterdir():
        file.rename(folder / file.name)
    result.rmdir()
