"""The log: its two formats, and text that others wrote to standard error."""
