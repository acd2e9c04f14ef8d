"""Decides how far the figures can be trusted: checks, and the verdict that follows from them. Pure."""
