"""Shows results: the formats of the report, the live view, and the report of the self-test."""
