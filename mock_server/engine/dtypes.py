"""Names of dtypes, as vLLM spells them."""

from __future__ import annotations

FULL_NAMES = {"fp32": "float32", "bf16": "bfloat16", "fp16": "float16"}
"""By ms-swift's abbreviations."""


def dtype_name(dtype: object) -> str:
    """The full name of a torch dtype, or of a name that may be abbreviated."""
    name = str(dtype).removeprefix("torch.").lower()
    return FULL_NAMES.get(name, name)
