"""Rows of questions and answers: read from files, made from a name, and kept beside what was trained on them."""
