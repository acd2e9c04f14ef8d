"""What is kept of a run: its facts, a line for each request, a row for each event, and the result."""
