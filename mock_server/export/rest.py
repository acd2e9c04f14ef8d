"""The files of a model other than its weights."""

from __future__ import annotations

import shutil
from pathlib import Path

_WEIGHTS = (".safetensors", ".bin", ".pt", ".pth", ".gguf", ".msgpack", ".h5", ".index.json")
_AS_IT_WAS = "generation_config.json"


def copy_rest(model: Path, folder: Path) -> None:
    """Copies what is not in the folder yet: tokenizer, templates, code. The defaults for generation are always the
    model's, since libraries change them as they save.
    """
    for file in model.iterdir():
        is_wanted = file.is_file() and not file.name.startswith(".") and not file.name.endswith(_WEIGHTS)
        if is_wanted and (file.name == _AS_IT_WAS or not (folder / file.name).exists()):
            shutil.copyfile(file, folder / file.name)
