"""Values and texts drawn at random from what a client sends: instances of a JSON schema, matches of an expression.

Pure, and bounded: whatever a client sends, drawing ends after the work that its `Budget` allows.
"""
