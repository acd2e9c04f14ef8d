"""The content of an answer: its events or its body, read as far as the figures need."""
