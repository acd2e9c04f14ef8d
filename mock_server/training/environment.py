"""What libraries read from the environment. It must be set before they are imported."""

from __future__ import annotations

import os
import warnings
from pathlib import Path

from mock_server.training.settings import TrainSettings

_QUIET = {
    "HF_HUB_DISABLE_PROGRESS_BARS": "1",
    "HF_HUB_DISABLE_TELEMETRY": "1",
    "HF_DATASETS_OFFLINE": "1",
    "TOKENIZERS_PARALLELISM": "false",
    "TQDM_DISABLE": "1",
    "TRANSFORMERS_VERBOSITY": "error",
    "WANDB_DISABLED": "true",
}


def prepare(settings: TrainSettings) -> None:
    """Keeps libraries quiet, and from the network where the model is a folder."""
    os.environ |= _QUIET
    if Path(settings.model_id_or_path).is_dir():
        os.environ["HF_HUB_OFFLINE"] = "1"
    # threads that wait by spinning make no headway where others want the same cores
    os.environ.setdefault("OMP_WAIT_POLICY", "passive")
    if settings.device == "cpu":
        os.environ["CUDA_VISIBLE_DEVICES"] = ""
    elif settings.nproc_per_node == 1:  # one process trains on one GPU
        visible = os.environ.get("CUDA_VISIBLE_DEVICES", "0")
        os.environ["CUDA_VISIBLE_DEVICES"] = visible.partition(",")[0]
    warnings.filterwarnings("ignore")
