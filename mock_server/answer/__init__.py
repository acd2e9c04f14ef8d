"""From an engine's tokens to the bodies and events of an answer."""
