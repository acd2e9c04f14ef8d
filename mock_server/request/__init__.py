"""From a request's body to the prompt and parameters of an engine."""
