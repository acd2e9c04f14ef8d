"""Computes figures from records. Pure: arrays in, figures out."""
