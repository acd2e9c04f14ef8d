"""Compares load tests: how far two sides differ, and what their data can show. Pure: figures in, statements out."""
