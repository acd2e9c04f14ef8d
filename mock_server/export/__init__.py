"""Models written anew: an adapter merged into its base, or weights in four bits."""
