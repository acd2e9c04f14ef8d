"""The log: its two formats, and text that other code writes to standard error."""
