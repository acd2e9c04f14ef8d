"""Random values for what a client sends: instances of a JSON schema, and text that matches an expression.

Pure and bounded: whatever a client sends, drawing stops when its `Budget` is used up.
"""
