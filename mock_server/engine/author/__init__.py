"""What the simulated model reads and writes: tokens, prose, and values that satisfy a schema."""
