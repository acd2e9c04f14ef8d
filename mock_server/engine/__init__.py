"""Engines: token ids in, token id deltas out. Everything textual stands above them."""
