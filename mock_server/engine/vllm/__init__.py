"""A real model, run by vLLM."""
