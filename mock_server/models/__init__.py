"""Which models are served: names, sources, types and chat templates."""
