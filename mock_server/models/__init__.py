"""The models that are served: names, sources, types and chat templates."""
