"""A real model, run by transformers, with peft's adapters."""
