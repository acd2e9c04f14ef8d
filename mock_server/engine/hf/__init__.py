"""Hugging Face's files: tokenizers, checkpoints, adapters."""
