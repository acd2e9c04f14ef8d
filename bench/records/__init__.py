"""Keeps runs: their facts, a line for each request, a row for each event, and the result."""
