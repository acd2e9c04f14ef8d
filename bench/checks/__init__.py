"""Whether the figures can be believed: checks, and the verdict that follows from them. Pure."""
