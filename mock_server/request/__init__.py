"""From the body of a request to the terms of an engine."""
