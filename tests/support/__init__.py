"""Servers and clients that tests share."""
